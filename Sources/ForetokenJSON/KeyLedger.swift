/// The keys that each open object has had so far, so that a repeated one is noticed: compared byte by byte after
/// unescaping, in constant time each, with hashes that a file's author cannot foresee.
struct KeyLedger {
    private struct Key {
        /// Its bytes in `store`.
        var text: Range<Int>
        var hash: Int
        /// Where its value begins in the document.
        var value: Int
    }

    private struct OpenObject {
        let firstKey: Int
        let firstByte: Int
        /// Indices of keys by hash, −1 where free; at most half full. Empty while the object is small.
        var slots: [Int32] = []
    }

    /// Up to so many keys are compared one by one.
    private static let mostUnhashed = 16

    private var store: [UInt8] = []
    private var keys: [Key] = []
    private var objects: [OpenObject] = []

    /// An object begins.
    mutating func open() { objects.append(OpenObject(firstKey: keys.count, firstByte: store.count)) }

    /// The innermost object ends; its keys are forgotten.
    mutating func close() {
        guard let object = objects.popLast() else { return }
        keys.removeSubrange(object.firstKey...)
        store.removeSubrange(object.firstByte...)
    }

    /// Notes a key of the innermost object whose value begins at `value`.
    /// - Returns: where the value of the same key began before; nil for a new key.
    mutating func note(_ text: [UInt8], value: Int) -> Int? {
        let last = objects.count - 1
        let count = keys.count - objects[last].firstKey
        let isHashed = count >= Self.mostUnhashed
        if isHashed, 2 * (count + 1) > objects[last].slots.count { rehash(last, size: 4 * count) }
        let hash = isHashed ? Self.hash(text[...]) : 0
        let (found, free) = isHashed ? slot(last, text, hash) : (indexOfSmall(last, text), 0)
        if let found {
            defer { keys[found].value = value }
            return keys[found].value
        }
        if isHashed { objects[last].slots[free] = Int32(truncatingIfNeeded: keys.count) }
        keys.append(Key(text: store.count..<store.count + text.count, hash: hash, value: value))
        store.append(contentsOf: text)
        return nil
    }

    private func indexOfSmall(_ object: Int, _ text: [UInt8]) -> Int? {
        (objects[object].firstKey..<keys.count).first { isSame($0, text) }
    }

    private func isSame(_ key: Int, _ text: [UInt8]) -> Bool {
        keys[key].text.count == text.count && store[keys[key].text].elementsEqual(text)
    }

    private func slot(_ object: Int, _ text: [UInt8], _ hash: Int) -> (found: Int?, free: Int) {
        let mask = objects[object].slots.count - 1
        var slot = hash & mask
        while objects[object].slots[slot] >= 0 {
            let key = Int(objects[object].slots[slot])
            if keys[key].hash == hash, isSame(key, text) { return (key, slot) }
            slot = (slot + 1) & mask
        }
        return (nil, slot)
    }

    private mutating func rehash(_ object: Int, size wanted: Int) {
        var size = 64
        while size < wanted { size *= 2 }
        var slots = [Int32](repeating: -1, count: size)
        let isFirst = objects[object].slots.isEmpty
        for key in objects[object].firstKey..<keys.count {
            if isFirst { keys[key].hash = Self.hash(store[keys[key].text]) }
            var slot = keys[key].hash & (size - 1)
            while slots[slot] >= 0 { slot = (slot + 1) & (size - 1) }
            slots[slot] = Int32(truncatingIfNeeded: key)
        }
        objects[object].slots = slots
    }

    private static func hash(_ text: ArraySlice<UInt8>) -> Int {
        var hasher = Hasher()
        text.withUnsafeBytes { hasher.combine(bytes: $0) }
        return hasher.finalize()
    }
}
