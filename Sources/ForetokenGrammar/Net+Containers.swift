/// An object's members in the order in which they are written: those that the schema names, then any others.
struct ObjectShape {
    struct Property {
        let name: String
        let value: Int32
        let isRequired: Bool
    }

    var properties: [Property] = []
    /// The value of any other member; nil where there may be none.
    var others: Int32?
}

/// A list's elements: those with schemas of their own, then as many others as the bounds allow.
struct ListShape {
    var first: [Int32] = []
    /// Any further element; nil where there may be none.
    var others: Int32?
    var fewest = 0
    var most: Int?
}

extension Net {
    /// An object of this shape.
    mutating func addObject(_ shape: ObjectShape) throws(GrammarError) -> Int32 {
        let entry = try add(Node(opens: true))
        let (opened, end) = (try addPlace(), try add(Node(isEnd: true, isInside: true)))
        try connect(entry, "{", opened)
        let count = shape.properties.count
        // keys[i]: before the key of property i or a later one; after[i]: behind the value of the one before it.
        var (keys, after) = ([Int32](), [Int32]())
        for _ in 0...count {
            keys.append(try addPlace())
            after.append(try addPlace())
        }
        try jump(opened, keys[0])
        let lastRequired = shape.properties.lastIndex { $0.isRequired } ?? -1
        if lastRequired < 0 { try connect(opened, "}", end) }
        for index in 0...count {
            try connect(after[index], ",", keys[index])
            if index > lastRequired { try connect(after[index], "}", end) }
        }
        for (index, property) in shape.properties.enumerated() {
            let quoted = try spell(Self.spelling(of: property.name), from: keys[index], isInside: true)
            try addMember(behind: quoted, property.value, then: after[index + 1])
            if !property.isRequired { try jump(keys[index], keys[index + 1]) }
        }
        guard let others = shape.others else { return entry }
        let quoted = try add(Node(isInside: true))
        try connect(keys[count], "\"", try addText(besides: shape.properties.map(\.name), to: quoted))
        try addMember(behind: quoted, others, then: after[count])
        return entry
    }

    /// The colon behind a key, and the value.
    private mutating func addMember(behind key: Int32, _ value: Int32, then next: Int32) throws(GrammarError) {
        let (colon, place) = (try addPlace(), try addPlace())
        try jump(key, colon)
        try connect(colon, ":", place)
        call(place, value, then: next)
    }

    /// A list of this shape; `fewest` must not exceed `most`.
    mutating func addList(_ shape: ListShape) throws(GrammarError) -> Int32 {
        let entry = try add(Node(opens: true))
        let (opened, end) = (try addPlace(), try add(Node(isEnd: true, isInside: true)))
        try connect(entry, "[", opened)
        if shape.fewest == 0 { try connect(opened, "]", end) }
        // Elements that are counted; behind the last of them any number may follow, or none.
        let counted = shape.most ?? max(shape.first.count, shape.fewest)
        var before = opened
        for index in 0..<counted {
            guard let value = index < shape.first.count ? shape.first[index] : shape.others else { return entry }
            let after = try addPlace()
            call(before, value, then: after)
            if index + 1 >= shape.fewest { try connect(after, "]", end) }
            before = try addPlace()
            try connect(after, ",", before)
        }
        guard shape.most == nil, let others = shape.others else { return entry }
        let (after, again) = (try addPlace(), try addPlace())
        // Behind a comma the list cannot end, as it may where it begins.
        for place in [before, again] { call(place, others, then: after) }
        try connect(after, ",", again)
        try connect(after, "]", end)
        return entry
    }
}

/// Values without any constraint, made once for a net.
struct FreeValues {
    let any: Int32
    let object: Int32
    let list: Int32
    let string: Int32
    let number: Int32
    let integer: Int32

    init(in net: inout Net) throws(GrammarError) {
        any = try net.add()
        string = try net.add()
        let end = try net.add(Net.Node(isEnd: true))
        try net.connect(string, "\"", try net.addAnyText(to: end, isInside: false))
        number = try net.addNumber(isWhole: false)
        integer = try net.addNumber(isWhole: true)
        object = try net.addObject(ObjectShape(others: any))
        list = try net.addList(ListShape(others: any))
        for value in [string, number, object, list] { try net.jump(any, value) }
        for word in ["true", "false", "null"] { try net.jump(any, try net.addWord(word.utf8)) }
    }
}
