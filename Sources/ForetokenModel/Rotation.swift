import ForetokenWeights
import Glibc

/// Rotary position embedding with YaRN's frequencies (DeepSeek-V3 technical report, 4.3; arXiv 2309.00071).
struct Rotation {
    private let frequencies: [Float]
    private let magnitude: Float
    let pairs: Int

    init(_ configuration: ModelConfiguration) {
        frequencies = configuration.inverseFrequencies
        magnitude = configuration.rotationMagnitude
        pairs = frequencies.count
    }

    /// Fills the cosines and sines of one position, `pairs` values each. The angle is formed in FP32, as every reference
    /// implementation does.
    func fill(_ cosines: UnsafeMutablePointer<Float>, _ sines: UnsafeMutablePointer<Float>, position: Int) {
        for i in 0..<pairs {
            let angle = Double(Float(position) * frequencies[i])
            cosines[i] = Float(cos(angle)) * magnitude
            sines[i] = Float(sin(angle)) * magnitude
        }
    }
}
