import ForetokenPlacement
import ForetokenWeights

extension OpenModel {
    /// Tells models apart, those that differ in their MTP modules alone as well.
    /// - Throws: `CheckpointError` when a file cannot be read.
    package func fingerprint() throws -> String {
        var hash = FNV1a()
        hash.add(try checkpoint.routingFingerprint(layout))
        for tensor in [layout.lmHead.weight] + layout.mtp.map(\.projection.weight) {
            try withUnsafeTemporaryAllocation(byteCount: min(4096, tensor.range.count), alignment: 1) { bytes in
                try checkpoint.read(tensor, fromByte: 0, into: bytes)
                hash.add(UnsafeRawBufferPointer(bytes))
            }
        }
        return hash.digits
    }

    /// Tells folders apart as far as config.json and the files' headers do: every tensor's name, type, shape and place.
    /// - Throws: `CheckpointError` when config.json cannot be read.
    package func layoutFingerprint() throws -> String {
        var hash = FNV1a()
        try checkpoint.file(named: "config.json")?.withUnsafeBytes { hash.add($0) }
        for name in checkpoint.tensors.keys.sorted() {
            guard let tensor = checkpoint.tensors[name] else { continue }
            hash.add("\(name) \(tensor.type) \(tensor.shape) \(tensor.range) \(checkpoint.fileNames[tensor.file])\n")
        }
        return hash.digits
    }
}
