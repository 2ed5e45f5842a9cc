/// Numbers as people like to read them. Always a point, never the locale's comma; below zero with the minus sign that is as
/// wide as a plus, so not for programs to read.
public enum Format {
    private static let minus = "\u{2212}"

    /// A number with so many decimals.
    public static func fixed(_ value: Double, _ decimals: Int) -> String {
        guard value.isFinite else { return value.isNaN ? "–" : value > 0 ? "∞" : minus + "∞" }
        guard abs(value) < 1e15 else { return "\(value)" }
        var scale = 1.0
        for _ in 0..<decimals { scale *= 10 }
        let scaled = (abs(value) * scale).rounded()
        let sign = value < 0 && scaled > 0 ? minus : ""
        // Beyond 2^63 there are no decimals to lose.
        guard scaled < 9e18 else { return "\(sign)\(UInt64(abs(value)))" }
        let digits = "\(UInt64(scaled))"
        guard decimals > 0 else { return sign + digits }
        let filled = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
        return "\(sign)\(filled.dropLast(decimals)).\(filled.suffix(decimals))"
    }

    /// A number with about three significant digits: 0.123, 1.23, 12.3, 123, 1,234.
    public static func short(_ value: Double) -> String {
        switch abs(value) {
        case ..<1: fixed(value, 3)
        case ..<10: fixed(value, 2)
        case ..<100: fixed(value, 1)
        case ..<1e15: value < 0 ? minus + grouped(Int(-value.rounded())) : grouped(Int(value.rounded()))
        default: fixed(value, 0)
        }
    }

    /// An integer with commas between groups of three digits.
    public static func grouped(_ value: Int) -> String {
        let digits = Array("\(value.magnitude)")
        var text = value < 0 ? minus : ""
        for (index, digit) in digits.enumerated() {
            if index > 0 && (digits.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return text
    }

    /// Bytes in powers of ten, as disks and memory channels are sold: 688.6 GB.
    public static func bytes(_ count: Int) -> String {
        let units = ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"]
        var value = Double(count)
        var unit = 0
        // 999.96 kB would read 1000.0 kB.
        while value >= (unit == 0 ? 1000 : 999.95) && unit + 1 < units.count {
            value /= 1000
            unit += 1
        }
        return unit == 0 ? "\(count) \(count == 1 ? "byte" : "bytes")" : "\(fixed(value, 1)) \(units[unit])"
    }

    /// A share in percent: 91.7 %.
    public static func percent(_ share: Double) -> String { fixed(share * 100, 1) + " %" }

    /// A difference with its sign, whichever that is.
    /// - Parameter size: writes the number without one.
    public static func signed(_ value: Double, _ size: (Double) -> String) -> String {
        (value < 0 ? minus : "+") + size(abs(value))
    }

    /// A duration: 3.42 ms, 1.20 s, 2 min 05 s.
    public static func duration(nanoseconds: Int64) -> String {
        let seconds = Double(nanoseconds) / 1e9
        switch seconds {
        case ..<0.9995: return "\(fixed(seconds * 1000, 2)) ms"
        case ..<59.995: return "\(fixed(seconds, 2)) s"
        default:
            let whole = Int(seconds.rounded())
            return "\(whole / 60) min \(whole % 60 < 10 ? "0" : "")\(whole % 60) s"
        }
    }
}
