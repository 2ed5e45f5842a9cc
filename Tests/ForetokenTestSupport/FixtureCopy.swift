import FoundationEssentials

/// A copy of a golden model's checkpoint in a folder of its own, in which a test changes something.
public struct FixtureCopy {
    /// The folder, which disappears with its last owner.
    public let folder: TemporaryFolder
    /// The folder's path.
    public var path: String { folder.path }

    /// Copies the checkpoint without the reference's results.
    public init(_ golden: GoldenModel) throws {
        folder = try TemporaryFolder()
        for name in try FileManager.default.contentsOfDirectory(atPath: golden.directory)
        where !name.hasPrefix("golden.") {
            try folder.write(try TemporaryFolder.contents(of: golden.directory + "/" + name), name)
        }
    }

    /// Replaces a text that config.json holds exactly once.
    public func changeConfiguration(_ old: String, to new: String) throws {
        let text = try configuration()
        precondition(text.ranges(of: old).count == 1, "config.json does not hold \(old) once")
        try folder.write(Array(text.replacing(old, with: new).utf8), "config.json")
    }

    /// The text of config.json.
    public func configuration() throws -> String { String(decoding: try folder.read("config.json"), as: UTF8.self) }

    /// Deletes a file.
    public func remove(_ file: String) throws { try FileManager.default.removeItem(atPath: path + "/" + file) }

    /// Changes the names in the header of a safetensors file, where they stand in quotes; the data stays.
    public func changeNames(of file: String = "model.safetensors", _ change: (String) -> String) throws {
        let bytes = try folder.read(file)
        let length = bytes.withUnsafeBytes { Int($0.loadUnaligned(as: UInt64.self)) }
        let old = String(decoding: bytes[8..<8 + length], as: UTF8.self)
        let new = change(old)
        precondition(new != old, "\(file) has no such names")
        try folder.write(
            StoredTensor.littleEndian(UInt64(new.utf8.count)) + Array(new.utf8) + bytes[(8 + length)...], file)
    }

    /// Adds bytes as a BF16 tensor of one dimension to a safetensors file.
    public func add(_ name: String, bytes added: [UInt8], to file: String = "model.safetensors") throws {
        let bytes = try folder.read(file)
        let end = bytes.count - 8 - bytes.withUnsafeBytes { Int($0.loadUnaligned(as: UInt64.self)) }
        try folder.write(bytes + added, file)
        try changeNames(of: file) { header in
            let open = header[...header.lastIndex(of: "}")!].dropLast()
            return open
                + ",\"\(name)\":{\"dtype\":\"BF16\",\"shape\":[\(added.count / 2)],"
                + "\"data_offsets\":[\(end),\(end + added.count)]}}"
        }
    }
}
