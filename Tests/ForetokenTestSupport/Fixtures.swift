import FoundationEssentials

/// Files beside the tests, found from this file's own place.
public enum Fixtures {
    /// The package's root folder.
    public static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    /// The embedded demo model's folder.
    public static let demoModel = root + "/Sources/CForetokenDemo/model"

    /// A folder of reference results.
    public static func golden(_ name: String) -> String { root + "/Tests/ForetokenModelTests/Fixtures/" + name }
}

/// A safetensors file of reference values: F32 and I32 tensors, trusted.
public struct GoldenTensors {
    private struct Entry: Decodable {
        let dtype: String
        let shape: [Int]
        let data_offsets: [Int]
    }

    private enum Item: Decodable {
        case tensor(Entry)
        case metadata

        init(from decoder: any Decoder) throws { self = (try? Entry(from: decoder)).map(Item.tensor) ?? .metadata }
    }

    private let entries: [String: Item]
    private let data: [UInt8]
    private let base: Int

    /// Reads the whole file.
    public init(path: String) throws {
        data = [UInt8](try Data(contentsOf: URL(filePath: path)))
        let length = data.withUnsafeBytes { Int($0.loadUnaligned(as: UInt64.self)) }
        base = 8 + length
        entries = try JSONDecoder().decode([String: Item].self, from: Data(data[8..<base]))
    }

    /// Shape of a tensor; nil when there is none of that name.
    public func shape(_ name: String) -> [Int]? {
        if case .tensor(let entry)? = entries[name] { entry.shape } else { nil }
    }

    /// A tensor's values in row-major order.
    public func floats(_ name: String) -> [Float] { values(name, Float.self) }

    /// A tensor's values in row-major order.
    public func integers(_ name: String) -> [Int32] { values(name, Int32.self) }

    private func values<T: BitwiseCopyable>(_ name: String, _: T.Type) -> [T] {
        guard case .tensor(let entry)? = entries[name] else { return [] }
        return data.withUnsafeBytes { bytes in
            (entry.data_offsets[0] / 4..<entry.data_offsets[1] / 4).map {
                bytes.loadUnaligned(fromByteOffset: base + $0 * 4, as: T.self)
            }
        }
    }
}
