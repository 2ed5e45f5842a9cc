import ForetokenWeights
import Glibc

/// Rotary position embedding with YaRN's frequencies (DeepSeek-V3 technical report, 4.3; arXiv 2309.00071).
package struct Rotation {
    private let frequencies: [Double]
    private let magnitude: Float
    /// Pairs of values that turn together.
    package let pairs: Int

    package init(_ configuration: ModelConfiguration) {
        frequencies = configuration.inverseFrequencies
        magnitude = configuration.rotationMagnitude
        pairs = frequencies.count
    }

    /// Fills the cosines and sines of one position, `pairs` values each.
    ///
    /// The angle is formed in double precision, so that the angle between two positions depends on their distance alone
    /// wherever they are. Reference implementations form it in FP32, each with frequencies rounded in its own way: a
    /// million positions on their angles differ by up to 0.06 radians from each other, and by less from these.
    package func fill(_ cosines: UnsafeMutablePointer<Float>, _ sines: UnsafeMutablePointer<Float>, position: Int) {
        for i in 0..<pairs {
            let angle = Double(position) * frequencies[i]
            cosines[i] = Float(cos(angle)) * magnitude
            sines[i] = Float(sin(angle)) * magnitude
        }
    }
}
