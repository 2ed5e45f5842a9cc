import ForetokenPlacement

/// A small repeatable generator for tests.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var numbers: SplitMix64

    /// Equal seeds give equal sequences.
    public init(seed: UInt64) { numbers = SplitMix64(seed: seed) }

    /// A generator of its own for everything that has a name, so that adding one tensor changes no other.
    public init(seed: UInt64, name: String) {
        // FNV-1a over the name, started from the seed.
        let start = name.utf8.reduce(seed ^ 0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        numbers = SplitMix64(seed: start)
    }

    /// The next 64 random bits.
    public mutating func next() -> UInt64 { numbers.next() }

    /// Uniform in [0, 1), 24 bits.
    public mutating func uniform() -> Float { Float(next() >> 40) * 0x1p-24 }

    /// Nearly normal, mean 0, variance 1: four uniforms added up. No libm, so the same bits everywhere.
    public mutating func normal() -> Float {
        (uniform() + uniform() + uniform() + uniform() - 2) * 1.7320508
    }
}
