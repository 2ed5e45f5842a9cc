/// Figures in sentences.
package enum FigureText {
    /// One decimal.
    static func decimal(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }

    /// In powers of ten, as weights are counted: "12.3 GB".
    package static func bytes(_ count: Int) -> String { size(count, 1000, ["kB", "MB", "GB", "TB", "PB"]) }

    /// In powers of two, as memory is sold: "12.3 GiB".
    package static func binaryBytes(_ count: Int) -> String { size(count, 1024, ["KiB", "MiB", "GiB", "TiB", "PiB"]) }

    private static func size(_ count: Int, _ base: Double, _ units: [String]) -> String {
        guard Double(count) >= base else { return "\(count) bytes" }
        var value = Double(count) / base
        var unit = 0
        while value >= base, unit < units.count - 1 {
            value /= base
            unit += 1
        }
        return "\(decimal(value)) \(units[unit])"
    }
}
