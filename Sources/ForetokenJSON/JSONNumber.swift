/// A number of a JSON document, equal to another where both mean the same: 1, 1.0 and 1e0, or −0 and 0.
///
/// Whole numbers of any size are exact; all others have the value of the nearest `Double`. Python's `Infinity` and `NaN`
/// are numbers, too, each equal to itself.
public struct JSONNumber: Sendable {
    private enum Form: Equatable {
        case integer(Int)
        /// Above `Int.max`.
        case unsigned(UInt64)
        /// Whole, but of more than 64 bits: digits without zeros at either end, times a power of ten.
        case huge(isNegative: Bool, digits: [UInt8], exponent: Int)
        case real(Double)
    }

    private let form: Form
    /// The nearest Double; infinite for numbers beyond its range.
    public let double: Double
    /// As the document has it, cut when long.
    private let spelling: String
    /// Whether it is written with a point or an exponent, or as one of Python's words: to Python 2.0 is no whole number.
    public let isWrittenAsReal: Bool

    init(_ special: Double) {
        form = .real(special)
        double = special
        isWrittenAsReal = true
        spelling = special.isNaN ? "NaN" : special < 0 ? "-Infinity" : "Infinity"
    }

    /// - Parameters:
    ///   - literal: the whole number as it is written.
    ///   - whole: its digits before the point.
    ///   - fraction: those behind the point.
    ///   - exponent: those behind the e.
    init(
        literal: Slice<UnsafeBufferPointer<UInt8>>, whole: Slice<UnsafeBufferPointer<UInt8>>,
        fraction: Slice<UnsafeBufferPointer<UInt8>>, exponent: Slice<UnsafeBufferPointer<UInt8>>,
        isExponentNegative: Bool
    ) {
        let text = String(decoding: literal, as: UTF8.self)
        spelling = text.utf8.count <= 60 ? text : text.prefix(40) + "…"
        isWrittenAsReal = !fraction.isEmpty || !exponent.isEmpty
        let isNegative = literal.first == UInt8(ascii: "-")
        // An exponent beyond a billion is as good as one of a billion, unless a file has as many digits.
        var power = exponent.reduce(0) { min($0 * 10 + Int($1 - UInt8(ascii: "0")), 1 << 40) }
        if isExponentNegative { power = -power }
        var digits = Array(whole.drop { $0 == UInt8(ascii: "0") })
        digits.append(contentsOf: digits.isEmpty ? fraction.drop { $0 == UInt8(ascii: "0") } : fraction[...])
        power -= fraction.count
        while digits.last == UInt8(ascii: "0") {
            digits.removeLast()
            power += 1
        }
        if digits.isEmpty {
            form = .integer(0)
            double = isNegative && isWrittenAsReal ? -0.0 : 0
        } else if power < 0 {
            double = Double(text) ?? .nan
            form = .real(double)
        } else if let small = Self.integer(isNegative, digits, power) {
            form = small
            double = if case .integer(let value) = small { Double(value) } else { Double(text) ?? .infinity }
        } else {
            form = .huge(isNegative: isNegative, digits: digits, exponent: power)
            double = Double(text) ?? .infinity
        }
    }

    private static func integer(_ isNegative: Bool, _ digits: [UInt8], _ power: Int) -> Form? {
        guard digits.count + power <= 20 else { return nil }
        var magnitude: UInt64 = 0
        for index in 0..<digits.count + power {
            let digit = index < digits.count ? UInt64(digits[index] - UInt8(ascii: "0")) : 0
            let (product, isTooLarge) = magnitude.multipliedReportingOverflow(by: 10)
            let (sum, isStillTooLarge) = product.addingReportingOverflow(digit)
            if isTooLarge || isStillTooLarge { return nil }
            magnitude = sum
        }
        if let value = Int(exactly: magnitude) { return .integer(isNegative ? -value : value) }
        guard isNegative else { return .unsigned(magnitude) }
        return magnitude == Int.min.magnitude ? .integer(.min) : nil
    }

    /// Whether it is a whole number, of whatever size.
    public var isWhole: Bool { if case .real = form { false } else { true } }

    /// The whole number; nil for all others and where `Int` is too small.
    public var integer: Int? { if case .integer(let value) = form { value } else { nil } }

    /// The digits of a whole number of any size that is written as one, behind a minus where it is below 0; nil for all
    /// others.
    public var wholeDigits: String? {
        guard !isWrittenAsReal else { return nil }
        switch form {
        case .integer(let value): return String(value)
        case .unsigned(let value): return String(value)
        case .huge(let isNegative, let digits, let exponent):
            return (isNegative ? "-" : "") + String(decoding: digits, as: UTF8.self)
                + String(repeating: "0", count: exponent)
        case .real: return nil
        }
    }

    /// The whole number from 0 to 2⁶⁴ − 1; nil for all others.
    public var unsigned: UInt64? {
        switch form {
        case .integer(let value): UInt64(exactly: value)
        case .unsigned(let value): value
        case .huge, .real: nil
        }
    }
}

extension JSONNumber: Equatable, CustomStringConvertible {
    /// By value; see the type.
    public static func == (left: Self, right: Self) -> Bool {
        left.form == right.form || left.double.isNaN && right.double.isNaN
    }

    /// As the document spells it.
    public var description: String { spelling }
}

extension JSONNumber: Encodable {
    /// Encodes the value; what no JSON number can say, as a string with its spelling.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch form {
        case .integer(let value): try container.encode(value)
        case .unsigned(let value): try container.encode(value)
        case .huge, .real: double.isFinite ? try container.encode(double) : try container.encode(spelling)
        }
    }
}
