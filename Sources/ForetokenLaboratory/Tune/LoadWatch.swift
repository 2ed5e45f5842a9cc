import ForetokenHardware

/// Looks whether something else uses the machine while the tuner measures.
struct LoadWatch {
    /// CPUs that are looked at; nil looks at nothing.
    let cpus: [Int]?

    /// What `body` gives, with what others did meanwhile.
    func during<Value>(_ body: () throws -> Value) rethrows -> (value: Value, interference: Interference?) {
        guard let cpus, !cpus.isEmpty else { return (try body(), nil) }
        let start = MachineLoad.read(cpus: cpus)
        let value = try body()
        return (value, Interference(from: start, to: .read(cpus: cpus), cpus: cpus.count))
    }
}
