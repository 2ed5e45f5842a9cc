/// Figures in sentences.
enum FigureText {
    /// One decimal.
    static func decimal(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }

    /// In powers of two, as memory is sold: "12.3 GiB".
    static func bytes(_ count: Int) -> String {
        let units = ["KiB", "MiB", "GiB", "TiB", "PiB"]
        guard count >= 1024 else { return "\(count) bytes" }
        var value = Double(count) / 1024
        var unit = 0
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return "\(decimal(value)) \(units[unit])"
    }
}
