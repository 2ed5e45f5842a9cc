import ForetokenJSON

/// One row of a trace in its text form.
struct TraceLine {
    var round = 0
    var row = 0
    var domain: String?
    /// Number of its text; nil where the line does not say.
    var text: Int?
    /// Experts of all layers, one after another.
    var ids: [Int] = []
    /// By layer: how many of them are its own.
    var counts: [Int] = []

    private static let example = "{\"round\":0,\"row\":0,\"domain\":\"code\",\"layers\":[[3,7],[1,2]]}"

    /// Reads one line.
    /// - Throws: `PlacementError` for anything but one object with `round`, `row` and `layers`.
    init(_ bytes: ArraySlice<UInt8>) throws(PlacementError) {
        do throws(JSONError) {
            self = try bytes.withUnsafeBufferPointer { (buffer) throws(JSONError) in
                var reader = JSONReader(buffer)
                return try TraceLine(&reader)
            }
        } catch {
            throw PlacementError("\(error); a row of a trace is \(Self.example)")
        }
    }

    private init(_ reader: inout JSONReader) throws(JSONError) {
        var missing = ["round", "row", "layers"]
        try reader.beginObject()
        while try reader.nextKey() {
            let key = reader.key
            missing.removeAll { $0 == key }
            switch key {
            case "round": round = try reader.integer()
            case "row": row = try reader.integer()
            case "domain": domain = try reader.string()
            case "text": text = try reader.integer()
            case "layers":
                try reader.beginArray()
                while try reader.nextElement() {
                    let before = ids.count
                    try reader.integers(into: &ids)
                    counts.append(ids.count - before)
                }
            default: try reader.skip()
            }
        }
        try reader.finish()
        if let key = missing.first { throw JSONError("the key \"\(key)\" is missing") }
    }
}
