import ForetokenJSON

/// The text of a JSON object without one of its members; all other bytes stay as they are.
func removingMember(_ name: String, from text: [UInt8], file: String) throws -> [UInt8] {
    var text = text
    // A repeated key stands there more than once.
    while true {
        let members = try memberRanges(of: text, file: file)
        guard let index = members.firstIndex(where: { $0.key == name }) else { return text }
        // The comma before the member goes with it, or, for the first member, the one behind it.
        let (first, range) = (members[0].range, members[index].range)
        let end = members.count > 1 ? members[1].range.lowerBound : first.upperBound
        text.removeSubrange(
            index > 0 ? members[index - 1].range.upperBound..<range.upperBound : first.lowerBound..<end)
    }
}

/// The text of a JSON object, not empty, with other values for some members; new ones follow the last. All other bytes
/// stay as they are.
/// - Parameter values: key → JSON literal.
func replacingMembers(_ values: [String: String], in text: [UInt8], file: String) throws -> [UInt8] {
    let members = try memberRanges(of: text, file: file)
    guard let last = members.last else { throw CheckpointError("\(file): the JSON object is empty") }
    func literal(_ key: String) -> String { "\(quotedJSON(key)): \(values[key] ?? "null")" }
    let known = Set(members.map(\.key))
    // The separation of the last two members, such as a comma, a line break and two spaces, suits new ones too.
    let separator =
        members.count > 1
        ? text[members[members.count - 2].range.upperBound..<last.range.lowerBound] : [UInt8(ascii: ",")]
    var result: [UInt8] = []
    var position = 0
    for member in members where values[member.key] != nil {
        result += text[position..<member.range.lowerBound] + Array(literal(member.key).utf8)
        position = member.range.upperBound
    }
    result += text[position..<max(position, last.range.upperBound)]
    for key in values.keys.sorted() where !known.contains(key) { result += separator + Array(literal(key).utf8) }
    return result + text[last.range.upperBound...]
}

/// The text of a JSON object with the object under `key` edited, or, without a key, edited itself.
func editingObject(
    under key: String?, of text: [UInt8], file: String, _ edit: ([UInt8]) throws -> [UInt8]
) throws -> [UInt8] {
    guard let key else { return try edit(text) }
    // A repeated key stands there more than once, always with the same value.
    var text = text
    for member in try memberRanges(of: text, file: file).reversed() where member.key == key {
        text.replaceSubrange(member.value, with: try edit(Array(text[member.value])))
    }
    return text
}

/// Where the members of a JSON object lie in its text, from the key's first byte to the value's last, and their values
/// alone, perhaps with white space before them; repeated ones too.
private func memberRanges(
    of text: [UInt8], file: String
) throws -> [(key: String, range: Range<Int>, value: Range<Int>)] {
    do {
        return try JSONReader.read(text) { (reader) throws(JSONError) in
            reader.showsRepeatedKeys = true
            var members: [(key: String, range: Range<Int>, value: Range<Int>)] = []
            try reader.beginObject()
            while try reader.nextKey() {
                let (key, start, value) = (reader.key, reader.keyOffset, reader.position)
                try reader.skip()
                members.append((key, start..<reader.position, value..<reader.position))
            }
            return members
        }
    } catch {
        throw CheckpointError(error, in: file)
    }
}
