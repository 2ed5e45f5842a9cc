/// What every converter writes beside the weights.
extension OutputFolder {
    /// Larger files that are not weights are left behind.
    private static let maximumCopiedFile = 64 << 20

    /// Refuses to start what the disk cannot hold.
    func requireSpace(_ needed: Int, for what: String) throws {
        if let available = availableBytes, available < needed {
            throw CheckpointError(
                "the disk is too full for the \(what) weights", expected: "\(needed) free bytes",
                found: "\(available)", kind: .system)
        }
    }

    /// Writes the index that says in which file each tensor lies.
    func writeIndex(_ files: [String: String], totalBytes: Int? = nil) throws {
        let lines = files.sorted { $0.key < $1.key }.map { "    \(quotedJSON($0.key)): \(quotedJSON($0.value))" }
        let metadata = totalBytes.map { "{\"total_size\": \($0)}" } ?? "{}"
        let text =
            "{\n  \"metadata\": \(metadata),\n  \"weight_map\": {\n\(lines.joined(separator: ",\n"))\n  }\n}\n"
        try write(CheckpointSurvey.indexFile) { try $0.write(Array(text.utf8)) }
    }

    /// Copies the tokenizer and whatever else is small; not weights, index, config.json and hidden files.
    func copySmallFiles(of checkpoint: Checkpoint) throws {
        let written = [CheckpointSurvey.indexFile, CheckpointSurvey.configurationFile]
        for (name, size) in try checkpoint.folder.regularFiles()
        where !name.hasSuffix(".safetensors") && !name.hasPrefix(".") && !written.contains(name)
            && size <= OutputFolder.maximumCopiedFile
        {
            // As they are, even where only git-LFS's note about one is there: the model does not need them all.
            guard let source = try checkpoint.folder.open(name) else { continue }
            let bytes = try source.bytes(0..<source.count)
            try write(name) { try $0.write(bytes) }
        }
    }
}
