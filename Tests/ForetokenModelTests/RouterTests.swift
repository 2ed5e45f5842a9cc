import ForetokenModel
import ForetokenTestSupport
import ForetokenWeights
import Glibc
import Testing

/// How rows are sent to experts, against the published rule written down plainly, from the stored weights.
@Suite(.serialized)
struct RouterTests {
    /// One MoE layer behind a dense one, so that rows come to it that are like real ones.
    private static func geometry(_ change: (inout TinyGeometry) -> Void) -> TinyGeometry {
        TinyGeometry {
            ($0.layers, $0.mtpModules) = (2, 0)
            change(&$0)
        }
    }

    private static let geometries: [(String, TinyGeometry)] = [
        ("two of four groups", geometry { _ in }),
        (
            "no groups, weights as they are",
            geometry { ($0.groups, $0.keptGroups, $0.normalizesExpertWeights) = (1, 1, false) }
        ),
        (
            "small groups, many experts a token, no shared expert",
            geometry {
                ($0.experts, $0.groups, $0.keptGroups, $0.expertsPerToken, $0.sharedExperts) = (12, 6, 3, 5, 0)
            }
        ),
        (
            "one group of several, all its experts, two shared ones",
            geometry {
                ($0.experts, $0.groups, $0.keptGroups, $0.expertsPerToken, $0.sharedExperts) = (18, 6, 1, 3, 2)
            }
        ),
        (
            "DeepSeek-V2: softmax, three of eight groups of two",
            geometry {
                ($0.family, $0.storage, $0.normalizesExpertWeights) = (.deepSeekV2, .bf16, false)
                ($0.groups, $0.keptGroups, $0.sharedExperts) = (8, 3, 2)
            }
        ),
        (
            "DeepSeek-V2-Lite: softmax, no groups",
            geometry {
                ($0.family, $0.storage, $0.normalizesExpertWeights) = (.deepSeekV2, .bf16, false)
                ($0.groups, $0.keptGroups, $0.queryRank) = (1, 1, nil)
            }
        ),
    ]

    /// What one row went through in the MoE layer.
    private struct Row {
        var values: [StepOperator: [Float]] = [:]
        var chosen: [Int] = []
        /// SwiGLU by expert.
        var activations: [Int: [Float]] = [:]
    }

    private final class Watcher: StepObserver {
        let wantsValues = true
        var rows: [Int: Row] = [:]

        func saw(_ site: StepSite, _ values: StepRows) {
            guard site.layer == 1 else { return }
            for i in 0..<values.count {
                let row = Array(UnsafeBufferPointer(start: values.base + i * values.stride, count: values.width))
                if let expert = site.expert {
                    rows[values.firstPosition + i, default: Row()].activations[expert] = row
                } else {
                    rows[values.firstPosition + i, default: Row()].values[site.operation] = row
                }
            }
        }

        func routed(layer: Int, chosen: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {
            for i in 0..<rows.count {
                self.rows[rows.firstPosition + i, default: Row()].chosen = (0..<perRow).map {
                    Int(chosen[i * perRow + $0])
                }
            }
        }
    }

    /// Runs `count` tokens in one step and tells what became of each.
    private func rows(_ tiny: TinyModel, count: Int) throws -> [Row] {
        let folder = try TemporaryFolder()
        try tiny.write(to: folder)
        let model = try Model.load(folder.path)
        let watcher = Watcher()
        let text = try SingleText(model, context: count)
        model.verifier.observer = watcher
        text.run(model.tokens(count, text: 5))
        model.verifier.observer = nil
        return (0..<count).map { watcher.rows[$0] ?? Row() }
    }

    private static let bias = "model.layers.1.mlp.gate.e_score_correction_bias"
    private static let gate = "model.layers.1.mlp.gate.weight"

    /// A model whose router sees nothing in its rows: all scores are one half.
    private func blind(_ geometry: TinyGeometry, bias: [Float]) -> TinyModel {
        var model = TinyModel(geometry)
        for i in model.tensors.indices {
            let tensor = model.tensors[i]
            if tensor.name == Self.gate {
                model.tensors[i] = StoredTensor(
                    name: tensor.name, tensor.type, shape: tensor.shape,
                    values: [Float](repeating: 0, count: tensor.shape[0] * tensor.shape[1]))
            } else if tensor.name == Self.bias {
                model.tensors[i] = StoredTensor(name: tensor.name, .f32, shape: tensor.shape, values: bias)
            }
        }
        return model
    }

    private func dot(_ matrix: [Float], row: Int, _ x: [Float]) -> Double {
        x.indices.reduce(0) { $0 + Double(matrix[row * x.count + $1]) * Double(x[$1]) }
    }

    /// In ascending order of experts: those that are chosen, and their weights.
    private func rule(_ logits: [Float], _ bias: [Float], _ shape: TinyGeometry) -> (ids: [Int], weights: [Double]) {
        let isSoftmax = shape.family.routerRule == .softmax
        let powers = logits.map { exp(Double($0)) }
        let scores = powers.map { isSoftmax ? $0 / powers.reduce(0, +) : $0 / (1 + $0) }
        let biased = zip(scores, bias).map { $0 + Double($1) }
        let size = shape.experts / shape.groups
        let groups = (0..<shape.groups).map {
            biased[$0 * size..<($0 + 1) * size].sorted(by: >).prefix(isSoftmax ? 1 : 2).reduce(0, +)
        }
        // Sorting keeps the order of equals: the lower one comes first.
        let kept = groups.indices.sorted { groups[$0] > groups[$1] }.prefix(shape.keptGroups)
        let allowed = biased.indices.filter { kept.contains($0 / size) }
        let ids = allowed.sorted { biased[$0] > biased[$1] }.prefix(shape.expertsPerToken).sorted()
        let sum = shape.normalizesExpertWeights ? ids.reduce(0) { $0 + scores[$1] } : 1
        return (ids, ids.map { scores[$0] / sum * 2.5 })
    }

    /// A window, and a chunk.
    @Test(arguments: geometries.indices, [16, 70]) func choosesAndWeighsAsTheRuleSays(index: Int, count: Int) throws {
        let tiny = TinyModel(Self.geometries[index].1, seed: 3)
        let gate = tiny.values(Self.gate)
        let bias = tiny.tensor(Self.bias)?.values ?? .init(repeating: 0, count: tiny.geometry.experts)
        #expect((tiny.tensor(Self.bias) == nil) == (tiny.geometry.family == .deepSeekV2))
        for row in try rows(tiny, count: count) {
            let normed = try #require(row.values[.feedForwardNorm])
            let logits = try #require(row.values[.router])
            for expert in logits.indices {
                #expect(abs(Double(logits[expert]) - dot(gate, row: expert, normed)) < 1e-4)
            }
            let expected = rule(logits, bias, tiny.geometry)
            #expect(row.chosen == expected.ids)
            let weights = try #require(row.values[.routingWeights])
            #expect(weights.count == expected.weights.count)
            for (weight, exact) in zip(weights, expected.weights) {
                #expect(abs(Double(weight) - exact) < 2e-6 * exact)
            }
        }
    }

    @Test(arguments: geometries.indices, [16, 70]) func expertsAreAddedByTheirWeights(index: Int, count: Int) throws {
        let tiny = TinyModel(Self.geometries[index].1, seed: 4)
        let prefix = "model.layers.1.mlp."
        let downs = (0..<tiny.geometry.experts).map { tiny.values("\(prefix)experts.\($0).down_proj.weight") }
        let shared = tiny.geometry.sharedExperts > 0 ? tiny.values(prefix + "shared_experts.down_proj.weight") : nil
        // Rows of both halves of a step are enough.
        for row in try rows(tiny, count: count).enumerated().filter({ $0.offset % 5 == 0 }).map(\.element) {
            let weights = try #require(row.values[.routingWeights])
            let found = try #require(row.values[.experts])
            #expect(row.activations.keys.sorted() == row.chosen)
            for column in stride(from: 0, to: found.count, by: 3) {
                var sum = 0.0
                for (weight, expert) in zip(weights, row.chosen) {
                    sum += Double(weight) * dot(downs[expert], row: column, row.activations[expert]!)
                }
                if let shared { sum += dot(shared, row: column, row.values[.shared]!) }
                #expect(abs(Double(found[column]) - sum) < 1e-4 * max(1, abs(sum)))
            }
        }
    }

    @Test func equalScoresGoToTheLowerExpertAndGroup() throws {
        for row in try rows(
            blind(Self.geometry { $0.expertsPerToken = 6 }, bias: [Float](repeating: 0, count: 16)), count: 20)
        {
            #expect(row.chosen == [0, 1, 2, 3, 4, 5])
        }
    }

    @Test func theBiasChoosesAndDoesNotWeigh() throws {
        var bias = [Float](repeating: 0, count: 16)
        (bias[6], bias[9], bias[10], bias[13]) = (3, 2, 1, -3)
        for row in try rows(blind(Self.geometry { $0.expertsPerToken = 3 }, bias: bias), count: 20) {
            #expect(row.chosen == [6, 9, 10])
            let weights = try #require(row.values[.routingWeights])
            // Equal scores share the factor of 2.5.
            #expect(weights.allSatisfy { abs($0 - 2.5 / 3) < 1e-6 })
        }
    }

    @Test func aGroupCountsByItsTwoBest() throws {
        // The first group has the best expert, the third the best two.
        var bias = [Float](repeating: -1, count: 16)
        (bias[1], bias[8], bias[11]) = (1, 0.5, 0.25)
        let geometry = Self.geometry { ($0.keptGroups, $0.expertsPerToken) = (1, 2) }
        for row in try rows(blind(geometry, bias: bias), count: 20) { #expect(row.chosen == [8, 11]) }
    }

    /// Masked experts must lose against any score, however low.
    @Test func otherGroupsNeverComeBackIn() throws {
        var bias = [Float](repeating: -5, count: 16)
        (bias[4], bias[5]) = (-2, -2)
        let geometry = Self.geometry { ($0.keptGroups, $0.expertsPerToken) = (1, 4) }
        for row in try rows(blind(geometry, bias: bias), count: 20) { #expect(row.chosen == [4, 5, 6, 7]) }
    }
}
