/// Tells the fast cores of a processor that mixes them with efficient ones.
///
/// Work is divided into equal shares, so a slow core lets all others wait at the end of every phase.
struct CoreSpeeds {
    /// /sys/devices.
    let devices: String

    /// A core below this fraction of the best one's capacity or frequency is a slow one. Cores of one kind differ by a tenth
    /// at most (favoured cores, larger caches), efficient ones by a quarter and more.
    private static let slow = 0.8
    /// What cpuinfo_max_freq can say.
    static let kilohertz = 1000...100_000_000

    /// Those of `cpus` that are fast; all of them where they are alike or nobody tells.
    ///
    /// The kernel's own lists for hybrid processors come first, then its estimate of each CPU's capacity, then the highest
    /// frequency. One CPU of which nothing is known makes a figure useless.
    func fast(of cpus: [Int], _ findings: inout Findings) -> Set<Int> {
        let all = Set(cpus)
        if let performance = findings.list("\(devices)/cpu_core/cpus", below: Topology.cpuLimit),
            let efficient = findings.list("\(devices)/cpu_atom/cpus", below: Topology.cpuLimit)
        {
            let fast = all.intersection(performance).subtracting(efficient)
            return fast.isEmpty ? all : fast
        }
        return best(of: cpus, { findings.integer("\(folder($0))/cpu_capacity", in: 1...1 << 20) })
            ?? best(of: cpus, { findings.integer("\(folder($0))/cpufreq/cpuinfo_max_freq", in: Self.kilohertz) }) ?? all
    }

    private func folder(_ cpu: Int) -> String { "\(devices)/system/cpu/cpu\(cpu)" }

    /// CPUs whose figure is close to the highest; nil where one has none.
    private func best(of cpus: [Int], _ figure: (Int) -> Int?) -> Set<Int>? {
        var figures: [Int: Int] = [:]
        for cpu in cpus {
            guard let value = figure(cpu) else { return nil }
            figures[cpu] = value
        }
        let limit = Double(figures.values.max() ?? 0) * Self.slow
        return Set(cpus.filter { Double(figures[$0] ?? 0) >= limit })
    }
}
