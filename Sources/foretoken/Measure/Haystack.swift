/// What texts with hidden facts are made of.
enum HaystackForm: String, CaseIterable {
    /// English sentences, and codes of places as facts.
    case prose
    /// Small Swift functions, and constants as facts.
    case code
}

/// A fact that a text may hide, and the question for it.
struct HiddenFact {
    /// The line that states it.
    let statement: String
    /// What a text ends with that is to be continued with the value.
    let opening: String
    /// The same for a model that answers questions.
    let question: String
    /// What is asked for.
    let value: String
}

/// Makes filler and facts: the same for the same number, on every machine.
struct Haystack {
    let form: HaystackForm
    /// Lines of a given text in place of made-up filler; empty for none.
    let lines: [String]

    /// Piece `index` of the filler, with the line feed that ends it.
    func filler(_ index: Int) -> String {
        if !lines.isEmpty { return lines[index % lines.count] + "\n" }
        var words = Words(seed: UInt64(index))
        switch form {
        case .prose:
            return
                "The \(words.one(of: Self.qualities)) \(words.one(of: Self.people)) \(words.one(of: Self.deeds)) the "
                + "\(words.one(of: Self.qualities)) \(words.one(of: Self.things)) \(words.one(of: Self.moments)).\n"
        case .code:
            let (left, right) = (words.one(of: Self.variables), words.one(of: Self.variables))
            let name = words.one(of: Self.actions) + words.one(of: Self.objects)
            return
                "func \(name)(_ \(left): Int) -> Int {\n    let \(right)Sum = \(left) * \(words.number(below: 9) + 2)\n"
                + "    return \(right)Sum + \(words.number(below: 90) + 10)\n}\n\n"
        }
    }

    /// Fact `index`; its value is a number of five digits.
    func fact(_ index: Int) -> HiddenFact {
        var words = Words(seed: UInt64(index) ^ 0x5EED)
        let value = "\(10_000 + words.number(below: 90_000))"
        let count = Self.directions.count
        let (direction, place) = (Self.directions[index % count], Self.places[index / count % Self.places.count])
        switch form {
        case .prose:
            let name = "the \(direction) \(place)"
            return HiddenFact(
                statement: "The access code of \(name) is \(value).\n", opening: "The access code of \(name) is",
                question: "What is the access code of \(name)? Answer with the code alone.", value: value)
        case .code:
            let name = direction + place.prefix(1).uppercased() + place.dropFirst() + "Code"
            return HiddenFact(
                statement: "let \(name) = \(value)\n\n", opening: "let \(name) =",
                question: "What is the value of `\(name)`? Answer with the number alone.", value: value)
        }
    }

    /// `count` pieces of filler with the fact, or one piece more, behind so many of them.
    /// - Parameter seed: number of the first piece.
    func text(_ count: Int, with fact: HiddenFact?, behind place: Int, seed: Int) -> String {
        var text = ""
        for i in 0..<count {
            if i == place { text += fact?.statement ?? filler(seed + count) }
            text += filler(seed + i)
        }
        if place >= count { text += fact?.statement ?? filler(seed + count) }
        return text
    }

    // MARK: Words

    private static let directions = ["north", "south", "east", "west", "upper", "lower", "inner", "outer"]
    private static let places = ["archive", "harbor", "station", "garden", "tower", "cellar", "bridge", "market"]
    private static let qualities = [
        "quiet", "old", "green", "narrow", "famous", "heavy", "gentle", "distant", "broken", "careful", "bright",
        "plain",
    ]
    private static let people = [
        "painter", "farmer", "teacher", "sailor", "baker", "doctor", "clerk", "weaver", "pilot", "singer", "miller",
        "smith",
    ]
    private static let deeds = [
        "repaired", "described", "bought", "carried", "forgot", "admired", "measured", "sold", "found", "washed",
        "drew",
    ]
    private static let things = [
        "lamp", "fence", "letter", "kettle", "ladder", "map", "clock", "basket", "window", "violin", "engine", "table",
    ]
    private static let moments = [
        "before noon", "after the rain", "on Sunday", "in the evening", "without a word", "last winter", "at the fair",
        "for a friend", "near the river", "in spring", "once more",
    ]
    private static let variables = [
        "left", "count", "width", "limit", "offset", "index", "level", "weight", "size", "total",
    ]
    private static let actions = [
        "make", "merge", "scale", "shift", "reduce", "extend", "round", "split", "align", "pack",
    ]
    private static let objects = [
        "Buffer", "Range", "Table", "Column", "Record", "Window", "Batch", "Frame", "Token", "Path",
    ]
}

/// Choices that follow from a seed.
private struct Words {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678_9ABC_DEF1 }

    mutating func number(below limit: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % limit
    }

    mutating func one(of words: [String]) -> String { words[number(below: words.count)] }
}
