import CForetokenKernels
import ForetokenHardware
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Packing in other formats than the stored one.
@Suite(.serialized)
struct ResidentFormatTests {
    /// Loads a model for as long as `body` runs: matrices are bare pointers into it.
    private func load<Result>(
        _ model: TinyModel, _ format: ResidentFormat, threads: Int = 2, _ body: (ModelWeights) throws -> Result
    ) throws -> Result {
        let weights = try withCheckpoint(model.files()) {
            try ModelWeights(
                checkpoint: $0, layout: try WeightLayout($0), pool: try WorkerPool(threads: threads), format: format)
        }
        return try withExtendedLifetime(weights) { try body(weights) }
    }

    private func byteCount(_ model: TinyModel, _ format: ResidentFormat) throws -> Int {
        try load(model, format) { $0.byteCount }
    }

    /// Row-major values of a packed matrix.
    private func values(_ linear: Linear) -> [Float] {
        let matrix = linear.matrix.pointee
        let columns = Int(matrix.columns)
        var all: [Float] = []
        for row in 0..<matrix.rows {
            var out = [Float](repeating: 0, count: columns)
            foretoken_kernels_best().pointee.decode_row(linear.matrix, row, &out)
            all += out
        }
        return all
    }

    /// The largest error allowed for a weight of a row whose largest magnitude is `amax`.
    private func tolerance(_ kind: UInt32, _ value: Float, amax: Float) -> Float {
        switch kind {
        case FORETOKEN_INT8.rawValue: amax / 127 * 0.51
        case FORETOKEN_INT4.rawValue: amax * 0.24  // a value that the search cut
        case FORETOKEN_FP8.rawValue: abs(value) / 15.9 + amax / 448 * 0x1p-9
        default: abs(value) / 255
        }
    }

    private func check(
        _ linear: Linear, _ expected: [Float], isExact: Bool, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let columns = Int(linear.matrix.pointee.columns)
        let kind = UInt32(linear.matrix.pointee.format)
        let found = values(linear)
        #expect(found.count == expected.count, sourceLocation: sourceLocation)
        for start in stride(from: 0, to: expected.count, by: columns) {
            let amax = expected[start..<start + columns].reduce(0) { max($0, $1.magnitude) }
            for i in start..<start + columns {
                let limit = isExact ? 0 : tolerance(kind, expected[i], amax: amax)
                guard abs(found[i] - expected[i]) > limit else { continue }
                Issue.record("weight \(i) is \(found[i]), not \(expected[i])", sourceLocation: sourceLocation)
                return
            }
        }
    }

    @Test(arguments: TinyGeometry.Storage.allCases, ResidentFormat.allCases)
    func everyMatrixIsNearTheStoredOne(storage: TinyGeometry.Storage, format: ResidentFormat) throws {
        let model = TinyModel(TinyGeometry { $0.storage = storage })
        let isExact =
            [.stored, .expertsInt4].contains(format) || (storage == .fp8 && format == .fp8)
            || (storage == .bf16 && format == .bf16)
        try load(model, format) { weights in
            let layer = weights.layers[0].attention
            check(layer.queryUp, model.values("model.layers.0.self_attn.q_b_proj.weight"), isExact: isExact)
            check(
                layer.latentDown, model.values("model.layers.0.self_attn.kv_a_proj_with_mqa.weight"), isExact: isExact)
            check(layer.output, model.values("model.layers.0.self_attn.o_proj.weight"), isExact: isExact)
            guard case .moe(let moe) = weights.layers[1].feedForward else {
                Issue.record("layer 1 has experts")
                return
            }
            let (first, last) = (moe.experts[0].copies[0], moe.experts[7].copies[0])
            let areExpertsExact = isExact && format != .expertsInt4
            check(last.down, model.values("model.layers.1.mlp.experts.7.down_proj.weight"), isExact: areExpertsExact)
            check(first.gate, model.values("model.layers.1.mlp.experts.0.gate_proj.weight"), isExact: areExpertsExact)
            let shared = try #require(moe.shared)
            check(shared.up, model.values("model.layers.1.mlp.shared_experts.up_proj.weight"), isExact: isExact)
            check(weights.lmHead, model.values("lm_head.weight"), isExact: isExact || format == .fp8)
            // These stay as they are in every format.
            check(moe.router, model.values("model.layers.1.mlp.gate.weight"), isExact: true)
            check(weights.embedding, model.values("model.embed_tokens.weight"), isExact: true)
        }
    }

    @Test func headsAreWorthMoreBits() throws {
        try load(TinyModel(), .int4) { weights in
            #expect(weights.lmHead.matrix.pointee.format == Int32(FORETOKEN_INT8.rawValue))
            #expect(weights.modules[0].projection.matrix.pointee.format == Int32(FORETOKEN_INT8.rawValue))
            #expect(weights.layers[0].attention.output.matrix.pointee.format == Int32(FORETOKEN_INT4.rawValue))
            #expect(weights.format == .int4)
        }
    }

    /// Routed experts have the bits that INT4 gives them, a module's too; everything else those that are stored.
    @Test func expertsAloneAreINT4() throws {
        struct Bits: Equatable {
            var experts: [[Float]] = []
            var others: [[Float]] = []
        }
        let model = TinyModel()
        func bits(_ format: ResidentFormat) throws -> Bits {
            try load(model, format) { weights in
                var bits = Bits(others: [values(weights.lmHead), values(weights.modules[0].projection)])
                for layer in weights.layers + weights.modules.map(\.block) {
                    bits.others += [values(layer.attention.queryUp), values(layer.attention.output)]
                    switch layer.feedForward {
                    case .dense(let mlp): bits.others += [mlp.gate, mlp.up, mlp.down].map(values)
                    case .moe(let moe):
                        for expert in 0..<moe.experts.count {
                            let copy = moe.experts[expert].copies[0]
                            bits.experts += [copy.gate, copy.up, copy.down].map(values)
                        }
                        if let shared = moe.shared { bits.others += [shared.gate, shared.up, shared.down].map(values) }
                    }
                }
                return bits
            }
        }
        let (mixed, int4, stored) = (try bits(.expertsInt4), try bits(.int4), try bits(.stored))
        #expect(mixed.experts == int4.experts && mixed.others == stored.others)
        #expect(mixed.experts != stored.experts && mixed.others != int4.others)
    }

    @Test func tiedHeadsStayOneMatrix() throws {
        try load(TinyModel(TinyGeometry { $0.tiedHead = true }), .int8) { weights in
            #expect(weights.lmHead.matrix == weights.embedding.matrix)
            #expect(weights.lmHead.matrix.pointee.format == Int32(FORETOKEN_BF16.rawValue))
        }
    }

    @Test func bytesAreCounted() throws {
        let model = TinyModel()
        let stored = try byteCount(model, .stored)
        #expect(try byteCount(model, .fp8) == stored)
        #expect(try byteCount(model, .bf16) > stored)
        let (int8, int4) = (try byteCount(model, .int8), try byteCount(model, .int4))
        #expect(int4 < int8)
        let mixed = try byteCount(model, .expertsInt4)
        #expect(int4 < mixed && mixed < stored)
        // q_b_proj [192, 72]: six panels; two blocks of 64 columns, or three of 32.
        try load(model, .int8) {
            #expect($0.layers[0].attention.queryUp.matrix.pointee.byteCount == 6 * 2 * 32 * (64 + 2))
        }
        try load(model, .int4) {
            #expect($0.layers[0].attention.queryUp.matrix.pointee.byteCount == 6 * 3 * 32 * (16 + 2))
        }
    }

    @Test(arguments: [ResidentFormat.int8, .int4, .expertsInt4])
    func threadsDoNotMatter(format: ResidentFormat) throws {
        let model = TinyModel(TinyGeometry { $0.intermediate = 1000 })
        func bits(threads: Int) throws -> [[UInt32]] {
            try load(model, format, threads: threads) { weights in
                weights.layers.map { values($0.attention.output).map(\.bitPattern) }
            }
        }
        #expect(try bits(threads: 1) == bits(threads: 3))
    }

    @Test(arguments: [ResidentFormat.fp8, .int8, .int4, .expertsInt4])
    func badWeightsAreRefused(format: ResidentFormat) throws {
        for (bits, message) in [(UInt16(0x7FC0), "NaN"), (0xFF80, "infinite"), (0x6300, "below 2^70")] {
            var model = TinyModel(TinyGeometry { $0.storage = .bf16 })
            let index = try #require(
                model.tensors.firstIndex { $0.name == "model.layers.1.mlp.experts.3.up_proj.weight" })
            model.tensors[index].bytes.replaceSubrange(20..<22, with: withUnsafeBytes(of: bits) { Array($0) })
            let text = complaint { try load(model, format) { _ in } }
            #expect(text.contains("experts.3.up_proj") && text.contains(message), "\(text)")
        }
    }
}
