/// SplitMix64: a small repeatable generator for tests (Steele, Lea, Flood 2014).
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Equal seeds give equal sequences.
    public init(seed: UInt64) { state = seed }

    /// A generator of its own for everything that has a name, so that adding one tensor changes no other.
    public init(seed: UInt64, name: String) {
        // FNV-1a over the name, started from the seed.
        state = name.utf8.reduce(seed ^ 0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    /// The next 64 random bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Uniform in [0, 1), 24 bits.
    public mutating func uniform() -> Float { Float(next() >> 40) * 0x1p-24 }

    /// Nearly normal, mean 0, variance 1: four uniforms added up. No libm, so the same bits everywhere.
    public mutating func normal() -> Float {
        (uniform() + uniform() + uniform() + uniform() - 2) * 1.7320508
    }
}
