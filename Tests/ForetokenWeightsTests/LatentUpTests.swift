import CForetokenKernels
import ForetokenHardware
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// The halves of kv_b_proj, whose heads begin anywhere in the FP8 scale blocks: with 128 + 192 rows a head (GigaChat3) and
/// 192 + 256 (GLM-4.7-Flash), every other head begins in the middle of one.
@Suite(.serialized)
struct LatentUpTests {
    /// Row-major values of a packed matrix.
    private func values(_ matrix: PackedMatrix) -> [Float] {
        var matrix = matrix
        return (0..<matrix.rows).flatMap { row in
            var out = [Float](repeating: 0, count: Int(matrix.columns))
            foretoken_kernels_best().pointee.decode_row(&matrix, row, &out)
            return out
        }
    }

    /// W x by the narrow kernels.
    private func product(_ matrix: PackedMatrix, _ x: [Float]) -> [Float] {
        var matrix = matrix
        var out = [Float](repeating: .nan, count: Int(matrix.rows))
        x.withUnsafeBufferPointer { x in
            out.withUnsafeMutableBufferPointer { out in
                let input = foretoken_rows(
                    base: UnsafeMutablePointer(mutating: x.baseAddress), stride: x.count, index: nil)
                let output = foretoken_rows(base: out.baseAddress, stride: out.count, index: nil)
                foretoken_kernels_best().pointee.product(
                    &matrix, 0, Int32(matrix.panelCount), input, 1, output, false)
            }
        }
        return out
    }

    /// A model in FP8 whose kv_b_proj has another power of two for every scale block.
    private func model(_ shape: TinyGeometry) -> TinyModel {
        var model = TinyModel(shape, seed: 11)
        for index in model.tensors.indices where model.tensors[index].name.hasSuffix("kv_b_proj.weight_scale_inv") {
            let scale = model.tensors[index]
            let values = (0..<scale.shape[0] * scale.shape[1]).map {
                Float(sign: .plus, exponent: $0 % 13 - 6, significand: 1)
            }
            model.tensors[index] = StoredTensor(name: scale.name, .f32, shape: scale.shape, values: values)
        }
        return model
    }

    @Test(arguments: [TinyGeometry.gigaChat, .glmFlash], [[1], [1, 1], [1, 1, 1]])
    func headsAcrossScaleBlocks(shape: TinyGeometry, workers: [Int]) throws {
        let model = model(shape)
        let name = "model.layers.1.self_attn.kv_b_proj.weight"
        let stored = model.values(name)
        let (nope, rank) = (shape.nope, shape.latentRank)
        let stride = nope + shape.value
        try #require(stride % 128 == 64 && model.tensor(name)?.type == .fp8)
        let nodes = workers.count == 1 ? NodeLayout.single : .madeUp(workers)
        let pool = try WorkerPool(threads: workers.count, teamSizes: workers)
        let weights = try withCheckpoint(model.files()) {
            try ModelWeights(checkpoint: $0, layout: WeightLayout($0), pool: pool, nodes: nodes)
        }
        defer { withExtendedLifetime(weights) {} }
        let attention = weights.layers[1].attention
        var random = SeededGenerator(seed: 5)
        for head in 0..<shape.heads {
            let keyUp = values(attention.keyUp.matrices[head])
            let valueUp = values(attention.valueUp.matrices[head])
            // Codes times powers of two are exact.
            for row in 0..<nope {
                for column in 0..<rank {
                    guard keyUp[column * nope + row] != stored[(head * stride + row) * rank + column] else { continue }
                    Issue.record("key row \(row), column \(column) of head \(head)")
                    return
                }
            }
            #expect(
                valueUp == Array(stored[(head * stride + nope) * rank..<(head + 1) * stride * rank]), "head \(head)")
            let query = (0..<nope).map { _ in random.normal() }
            let absorbed = product(attention.keyUp.matrices[head], query)
            for column in 0..<rank {
                let exact = (0..<nope).reduce(0.0) {
                    $0 + Double(query[$1]) * Double(stored[(head * stride + $1) * rank + column])
                }
                let size = (0..<nope).reduce(0.0) {
                    $0 + abs(Double(query[$1]) * Double(stored[(head * stride + $1) * rank + column]))
                }
                #expect(abs(Double(absorbed[column]) - exact) <= 1e-5 * size)
            }
        }
    }
}
