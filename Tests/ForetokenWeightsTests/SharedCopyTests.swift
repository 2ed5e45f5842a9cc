import ForetokenHardware
import ForetokenTestSupport
import ForetokenWeights
import Synchronization
import Testing

/// The MTP modules' own copies of embedding and head.
@Suite struct SharedCopyTests {
    /// Loads a model, and counts how often progress is told before anything is packed: once for every piece compared.
    private func comparisons(_ checkpoint: Checkpoint, _ layout: WeightLayout) throws -> Int {
        let pool = try WorkerPool(threads: 1)
        let count = Mutex(0)
        _ = try ModelWeights(checkpoint: checkpoint, layout: layout, pool: pool) { fraction in
            if fraction == 0 { count.withLock { $0 += 1 } }
        }
        return count.withLock { $0 }
    }

    @Test func theyAreComparedOnce() throws {
        let folder = try TemporaryFolder()
        try TinyModel().write(to: folder)
        let checkpoint = try Checkpoint(directory: folder.path)
        let fresh = try WeightLayout(checkpoint)
        #expect(try comparisons(checkpoint, fresh) >= 2, "embedding and head")
        #expect(try comparisons(checkpoint, fresh) == 0, "loaded again")
        let planned = try WeightLayout(checkpoint)
        _ = try planned.placementModel(checkpoint, format: .stored, besides: 0)
        #expect(try comparisons(checkpoint, planned) == 0, "a plan has asked before")
    }

    @Test func repetitionsTakeNoMemory() throws {
        func bytes(_ change: (inout TinyModel) -> Void) throws -> Int {
            let folder = try TemporaryFolder()
            var model = TinyModel()
            change(&model)
            try model.write(to: folder)
            let checkpoint = try Checkpoint(directory: folder.path)
            let layout = try WeightLayout(checkpoint)
            return try ModelWeights(checkpoint: checkpoint, layout: layout, pool: try WorkerPool(threads: 1)).byteCount
        }
        let repeated = try bytes { _ in }
        let without = try bytes { $0.tensors.removeAll { $0.name.hasPrefix("model.layers.3.embed_tokens") } }
        #expect(repeated == without)
        let changed = try bytes { model in
            for i in model.tensors.indices where model.tensors[i].name == "model.layers.3.embed_tokens.weight" {
                model.tensors[i].bytes[model.tensors[i].bytes.count - 2] ^= 1
            }
        }
        #expect(changed > repeated)
    }
}
