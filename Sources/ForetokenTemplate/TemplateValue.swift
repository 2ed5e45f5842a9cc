/// A variable's value.
public indirect enum TemplateValue: Sendable, Equatable {
    /// Python's None.
    case none
    /// True or False.
    case bool(Bool)
    /// A whole number.
    case integer(Int)
    /// A whole number beyond `Int`: its digits without zeros in front, behind a minus where it is below 0.
    case huge(String)
    /// Any other number.
    case number(Double)
    /// Text.
    case string(TemplateText)
    /// A list.
    case list([TemplateValue])
    /// A dictionary.
    case dictionary(TemplateDictionary)

    /// The whole number with these digits, which are as those of `huge`.
    public static func whole(_ digits: String) -> TemplateValue { Int(digits).map { .integer($0) } ?? .huge(digits) }
}

/// Keys and values in the order in which they came.
public struct TemplateDictionary: Sendable, Equatable {
    /// The members in order; every key once.
    public private(set) var members: [(key: TemplateText, value: TemplateValue)] = []
    private var places: [TemplateText: Int] = [:]

    /// A dictionary without members.
    public init() {}

    /// The value of a key of the program's own.
    public subscript(key: String) -> TemplateValue? {
        get { self[TemplateText(own: key)] }
        set { self[TemplateText(own: key)] = newValue }
    }

    /// The value of a key; setting one that is there replaces its value, and nil removes it.
    public subscript(key: TemplateText) -> TemplateValue? {
        get { places[key].map { members[$0].value } }
        set {
            switch (places[key], newValue) {
            case (let place?, let value?): members[place].value = value
            case (nil, let value?):
                places[key] = members.count
                members.append((key, value))
            case (let place?, nil):
                members.remove(at: place)
                places = [:]
                for (index, member) in members.enumerated() { places[member.key] = index }
            case (nil, nil): break
            }
        }
    }

    /// Whether both have the same keys with equal values.
    public static func == (left: Self, right: Self) -> Bool {
        left.members.count == right.members.count && left.members.allSatisfy { right[$0.key] == $0.value }
    }
}
