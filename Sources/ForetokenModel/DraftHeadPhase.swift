import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// Draft logits of one quantised hidden state; panels are divided over the workers.
struct DraftHeadPhase: Phase {
    let kernels: KernelTable
    let head: DraftHead
    let codes: UnsafePointer<Int8>
    let scales: UnsafePointer<Float>
    let logits: UnsafeMutablePointer<Float>

    static var entry: WorkerPool.Entry {
        { $0.phase(DraftHeadPhase.self).work(worker: Int($1), workers: Int($2)) }
    }

    private func work(worker: Int, workers: Int) {
        let first = head.panelCount * worker / workers
        let last = head.panelCount * (worker + 1) / workers
        var head = head
        kernels.pointee.draft_logits(&head, Int32(first), Int32(last - first), codes, scales, logits)
    }
}
