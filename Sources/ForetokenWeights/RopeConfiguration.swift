import Glibc

/// Rotary position embedding, interleaved pairs (DeepSeek-V3, `apply_rotary_emb`).
public struct RopeConfiguration: Sendable, Equatable {
    /// Base of the frequencies.
    public var theta: Double
    /// Context extension; nil for plain rotation.
    public var yarn: Yarn?

    /// YaRN (arXiv 2309.00071) as DeepSeek's files parameterise it.
    public struct Yarn: Sendable, Equatable {
        /// How many times longer the context became, at least 1.
        public var factor: Double
        /// Context length of the original training, in tokens.
        public var originalPositions: Int
        /// Rotations over the original context above which a frequency stays as it was.
        public var betaFast: Double
        /// Rotations below which a frequency is divided by `factor`.
        public var betaSlow: Double
        /// Numerator's coefficient of the rotation magnitude.
        public var mscale: Double
        /// Coefficient of the softmax scale; 0 leaves the softmax scale alone.
        public var mscaleAllDim: Double

        /// Creates the parameters; nothing is checked here.
        public init(
            factor: Double, originalPositions: Int, betaFast: Double = 32, betaSlow: Double = 1, mscale: Double = 1,
            mscaleAllDim: Double = 0
        ) {
            self.factor = factor
            self.originalPositions = originalPositions
            self.betaFast = betaFast
            self.betaSlow = betaSlow
            self.mscale = mscale
            self.mscaleAllDim = mscaleAllDim
        }

        /// g(m) = 0.1·m·ln(factor) + 1.
        func magnitude(_ coefficient: Double) -> Double {
            factor <= 1 ? 1 : 0.1 * coefficient * log(factor) + 1
        }

        /// The pair index, as a real number, that turns `rotations` times over the original context.
        func pairTurning(_ rotations: Double, dimension: Int, theta: Double) -> Double {
            Double(dimension) * log(Double(originalPositions) / (rotations * 2 * .pi)) / (2 * log(theta))
        }

        /// How much of pair `i`'s frequency is divided by `factor`: 0 below the fast bound, 1 above the slow one.
        func interpolation(dimension: Int, theta: Double) -> (Int) -> Double {
            let low = max(pairTurning(betaFast, dimension: dimension, theta: theta).rounded(.down), 0)
            // The published code bounds by dimension - 1, not by the number of pairs.
            let slow = pairTurning(betaSlow, dimension: dimension, theta: theta).rounded(.up)
            var high = min(slow, Double(dimension - 1))
            if high == low { high += 0.001 }
            return { pair in min(max((Double(pair) - low) / (high - low), 0), 1) }
        }
    }

    /// Creates the parameters; nothing is checked here.
    public init(theta: Double, yarn: Yarn? = nil) {
        self.theta = theta
        self.yarn = yarn
    }
}

extension ModelConfiguration {
    /// Angle per position of each of the `ropeDimension / 2` pairs, in radians: θ^(-2i/d), and under YaRN blended with
    /// the same divided by `factor`. In double precision: at position 262,143 a frequency's rounding to FP32 turns the fastest
    /// pairs by a hundredth of a radian.
    public var inverseFrequencies: [Double] {
        let interpolation = rope.yarn?.interpolation(dimension: ropeDimension, theta: rope.theta)
        return (0..<ropeDimension / 2).map { pair in
            let plain = pow(rope.theta, -2 * Double(pair) / Double(ropeDimension))
            guard let yarn = rope.yarn, let fraction = interpolation?(pair) else { return plain }
            return plain * (1 - fraction) + plain / yarn.factor * fraction
        }
    }

    /// σ, which multiplies query · key before the softmax: m² / √(nope + rope), m = g(mscale_all_dim) under YaRN.
    public var attentionScale: Float {
        var scale = 1 / Double(queryDimension).squareRoot()
        if let yarn = rope.yarn, yarn.mscaleAllDim != 0 {
            let magnitude = yarn.magnitude(yarn.mscaleAllDim)
            scale *= magnitude * magnitude
        }
        return Float(scale)
    }

    /// Factor of the cosines and sines: g(mscale) / g(mscale_all_dim), exactly 1 for the published V3.
    public var rotationMagnitude: Float {
        guard let yarn = rope.yarn else { return 1 }
        return Float(yarn.magnitude(yarn.mscale) / yarn.magnitude(yarn.mscaleAllDim))
    }
}
