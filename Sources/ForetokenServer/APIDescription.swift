import CForetokenPage

/// What can be asked for and what is answered, in OpenAPI's format.
enum APIDescription {
    /// The description; it is the same for every model.
    static var json: [UInt8] {
        var count = 0
        let bytes = foretoken_openapi(&count)
        return Array(UnsafeBufferPointer(start: bytes, count: count))
    }
}
