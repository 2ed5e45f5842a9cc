import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// A host that does its part of what the leader runs. It knows no texts and no tokens: rows come with each step, pages by
/// number, and what it keeps are the latents.
package final class Follower {
    private let model: Model
    private let others: OtherHosts
    private var pools: [Int32: LatentPool] = [:]
    /// By text of a step: its pages.
    private let tables: [ScratchBuffer<UnsafeMutableRawPointer?>]
    /// By row of a draft: the listed tokens, and a bit for each.
    private let rare: [ScratchBuffer<Int32>]
    private let panels: [ScratchBuffer<UInt32>]
    private let input: FloatBuffer
    private var ending: Ending?

    /// Why a follower stops.
    package enum Ending: Sendable, Equatable {
        /// The leader does not need the model any more.
        case left
        /// The leader ends with that code.
        case ended(code: Int32)
    }

    /// - Parameter model: this host's part of it, with the others to the leader.
    /// - Throws: `HardwareError` without memory.
    package init(_ model: Model) throws {
        guard let others = model.others, !others.leads else { preconditionFailure("a follower has a leader") }
        self.model = model
        self.others = others
        let c = model.configuration
        let texts = 0..<Workspace.windowRows
        let pages = LatentPool.pages(forPositions: c.maximumPositions)
        tables = try (0...texts.count).map { _ in try ScratchBuffer(count: pages) }
        rare = try texts.map { _ in try ScratchBuffer(count: c.vocabularySize) }
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        panels = try texts.map { _ in try ScratchBuffer(count: (c.vocabularySize + lanes - 1) / lanes) }
        input = try FloatBuffer(rows: Workspace.windowRows, columns: c.hiddenSize)
    }

    /// Follows until the leader does not need the model any more.
    package func run() -> Ending {
        model.pool.startSpinning()
        defer { model.pool.stopSpinning() }
        while true {
            obey(others.message.receive(from: others.channel))
            if let ending { return ending }
        }
    }

    private func obey(_ head: MessageHead) {
        switch MessageKind(rawValue: head.kind) {
        case .step: runStep(head)
        case .lmHead: makeLogits(head)
        case .verifierLogits: model.verifier.runner.gatherLogits()
        case .draftLogits: model.draftHead?.runner.gatherLogits()
        case .makePool: makePool(head)
        case .dropPool: pools[head.pool] = nil
        case .figures: others.gatherFigures(of: model.weights)
        case .leave: ending = .left
        case .end: ending = .ended(code: head.rows)
        case .load, .goOn, .endStep, nil: preconditionFailure("the leader says what can be done, not \(head.kind)")
        }
    }

    private func makePool(_ head: MessageHead) {
        let shape = PageShape(
            model.configuration, modules: Int(head.width), type: head.isBF16 ? .bf16 : .f32,
            host: model.weights.host)
        pools[head.pool] = try? LatentPool(shape, pages: Int(head.rows), home: model.weights.nodes.sharedHome)
        var isGood: Int32 = pools[head.pool] == nil ? 0 : 1
        _ = others.gather(&isGood, count: 1)
    }

    private func runStep(_ head: MessageHead) {
        let message = others.message
        let machinery = model.machinery
        let decoder = machinery.decoder(head.stepKind)
        // A chunk's table has to last while windows run.
        let first = head.isChunk ? 0 : 1
        for i in 0..<Int(head.spans) {
            let span = message.next(SpanHead.self)
            guard let pool = pools[span.pool] else {
                preconditionFailure("the leader names pools that it had made, not \(span.pool)")
            }
            if i == 0 { decoder.begin(pool) }
            let table = tables[first + i].pointer
            let numbers = message.next(Int32.self, count: Int(span.pages))
            for page in 0..<Int(span.pages) { table[page] = pool.page(Int(numbers[page])) }
            decoder.add(
                UnsafePointer(table), text: i, count: Int(span.count), entry: Int(span.entry),
                position: Int(span.position))
        }
        let stack: Machinery.Stack = head.module < 0 ? .main : .module(Int(head.module))
        let rows = decoder.input(of: stack)
        for row in 0..<Int(head.rows) where head.width > 0 {
            rows[row: row].update(
                from: message.next(Float.self, count: Int(head.width)), count: Int(head.width))
        }
        let rest = head.rests ? { [unowned self] in mayGoOn() } : nil
        if !head.isChunk && head.module < 0 { decoder.traffic.beginStep(rows: decoder.rows) }
        defer { decoder.traffic.endStep() }
        _ = machinery.run(stack, model.weights, on: decoder, lastOnly: head.lastOnly, rest: rest)
    }

    /// Does what the leader wants done while its chunk rests.
    private func mayGoOn() -> Bool {
        while true {
            let head = others.message.receive(from: others.channel)
            switch MessageKind(rawValue: head.kind) {
            case .goOn: return true
            case .endStep: return false
            default: obey(head)
            }
            if ending != nil { return false }
        }
    }

    private func makeLogits(_ head: MessageHead) {
        let message = others.message
        let count = Int(head.rows)
        let module = Int(head.module)
        guard let runner = module < 0 ? model.verifier.runner : model.draftHead?.runner else {
            preconditionFailure("the leader names modules that there are")
        }
        runner.draws.pointer.update(from: message.next(Draw.self, count: count), count: count)
        for row in 0..<count where head.isCoarse { runner.listed.pointer[row] = readListed(row) }
        for row in 0..<count {
            input[row: row].update(from: message.next(Float.self, count: Int(head.width)), count: Int(head.width))
        }
        let weights = model.weights
        if module < 0 {
            runner.run(.main, weights.lmHead, input: input.rows, count: count)
        } else if head.isCoarse {
            runner.run(.module(module), weights.modules[module].coarseLMHead, input: input.rows, count: count)
        } else {
            runner.run(.module(module), weights.modules[module].lmHead, input: input.rows, count: count)
        }
    }

    private func readListed(_ row: Int) -> ListedRows {
        let lead = others.message.next(Int32.self, count: 2)
        let (isWhole, count) = (lead[0] == 1, Int(lead[1]))
        let (tokens, bits) = (rare[row].pointer, panels[row])
        tokens.update(from: others.message.next(Int32.self, count: count), count: count)
        bits.elements.update(repeating: 0)
        for i in 0..<count {
            bits.pointer[Int(tokens[i] / FORETOKEN_PANEL_ROWS)] |= 1 << UInt32(tokens[i] % FORETOKEN_PANEL_ROWS)
        }
        return ListedRows(
            isWhole: isWhole, rare: UnsafeBufferPointer(start: tokens, count: count),
            panels: UnsafePointer(bits.pointer))
    }
}
