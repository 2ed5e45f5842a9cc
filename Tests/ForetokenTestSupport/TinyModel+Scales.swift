import ForetokenWeights

extension TinyModel {
    /// The same model with block scales that `type` holds exactly, still stored as F32 under `weight_scale_inv`.
    public func roundingScales(to type: ElementType) -> TinyModel {
        changingScales { scale in
            let values = scale.values.map { value in
                switch type {
                case .bf16: TestNumbers.value(bf16: TestNumbers.bf16(value))
                case .fp8E8M0: Float(sign: .plus, exponent: value.exponent, significand: 1)
                default: value
                }
            }
            scale = StoredTensor(name: scale.name, .f32, shape: scale.shape, values: values)
        }
    }

    /// The same model with its block scales stored in another type and under another suffix of the weight's name. The type
    /// must hold them exactly.
    public func storingScales(as type: ElementType, suffix: String) -> TinyModel {
        changingScales { scale in
            let name = String(scale.name.dropLast("_scale_inv".count)) + suffix
            if type == .fp8E8M0 {
                let bytes = scale.values.map { UInt8($0.exponent + 127) }
                scale = StoredTensor(name: name, type: type, shape: scale.shape, bytes: bytes)
            } else {
                scale = StoredTensor(name: name, type, shape: scale.shape, values: scale.values)
            }
        }
    }

    private func changingScales(_ change: (inout StoredTensor) -> Void) -> TinyModel {
        var model = self
        for index in model.tensors.indices where model.tensors[index].name.hasSuffix("_scale_inv") {
            change(&model.tensors[index])
        }
        return model
    }
}

/// One way to store block scales.
public struct ScaleSpelling: Sendable {
    /// Their element type.
    public let type: ElementType
    /// What follows the weight's name.
    public let suffix: String

    /// Every way that is read.
    public static let all = [ElementType.f32, .bf16, .fp8E8M0].flatMap { type in
        ["_scale_inv", "_scale"].map { ScaleSpelling(type: type, suffix: $0) }
    }
}
