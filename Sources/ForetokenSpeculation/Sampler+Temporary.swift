import CForetokenKernels
import ForetokenModel
extension Sampler {
    func distribution(_ logits: UnsafeMutableBufferPointer<Float>, into out: UnsafeMutablePointer<Float>) {
        let inv = rule.inverseTemperature
        out.update(from: logits.baseAddress!, count: rule.limit)
        var m: Float = 0
        let s = foretoken_kernels_best().pointee.exp_block(out, Int32(rule.limit), inv, &m)
        for i in 0..<rule.limit { out[i] /= s }
    }
}
