import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

extension Decoder {
    /// Gives every host what each has made of the rows' columns. A chunk may rest there.
    func share(_ buffer: FloatBuffer, _ columns: OtherHosts.Columns) {
        guard let others, others.share.cutsRows, !isEnded else { return }
        others.exchange(.init(base: buffer.base, stride: buffer.stride, count: rows, columns: columns))
        restAtMeeting()
    }

    /// The same of the SwiGLU rows of all slots, and of the shared expert's.
    func shareActivations(slots: Int, withShared: Bool) {
        guard let others, others.share.cutsRows, !isEnded else { return }
        let slots = OtherHosts.Rows(
            base: space.slots.base, stride: space.slots.stride, count: slots, columns: .expert)
        let shared = OtherHosts.Rows(
            base: space.shared.base, stride: space.shared.stride, count: rows, columns: .shared)
        others.exchange(slots, withShared ? shared : nil)
        restAtMeeting()
    }

    /// Runs the main layers: all of them, or those that this host has, between other hosts' layers.
    func runMainLayers(_ layers: [LayerWeights]) {
        guard let others, restsAtMeetings, !others.share.cutsRows else {
            for (index, layer) in layers.enumerated() {
                observation?.layer = index
                run(layer, index)
                if isEnded { return }
            }
            return
        }
        var last = 0
        for (index, layer) in layers.enumerated() {
            let owner = others.share.owner(ofLayer: index) ?? 0
            if owner != last { others.hand(space.residual, rows, width: configuration.hiddenSize, from: last) }
            last = owner
            if owner == others.share.rank {
                observation?.layer = index
                run(layer, index)
            }
            if rest != nil {
                others.waitForAll()
                restAtMeeting()
                if isEnded { return }
            }
        }
        if last != 0 { others.hand(space.residual, rows, width: configuration.hiddenSize, from: last) }
    }
}

extension Machinery {
    /// What rows can be run through.
    enum Stack: Equatable {
        /// The main layers.
        case main
        /// An MTP module: its projection and its block.
        case module(Int)
    }

    /// Runs the rows that have been added to a step through a stack. They end as the decoder's residual rows.
    ///
    /// - Parameters:
    ///   - lastOnly: whether of a module's rows only each text's last one is wanted.
    ///   - rest: of a chunk; ends it by returning false.
    /// - Returns: false when it was ended.
    func run(
        _ stack: Stack, _ weights: ModelWeights, on decoder: Decoder, lastOnly: Bool = false, rest: (() -> Bool)? = nil
    ) -> Bool {
        let rest = decoder.kind == .chunk ? rest : nil
        decoder.restsAtMeetings = isShared(stack)
        decoder.rest = rest
        if let others, others.leads, isShared(stack) {
            tell(others, stack, decoder, lastOnly, rests: rest != nil)
            decoder.rest = rest.map { rest in
                {
                    let goesOn = rest()
                    others.send(goesOn ? .goOn : .endStep)
                    return goesOn
                }
            }
        }
        defer { decoder.rest = nil }
        switch stack {
        case .main: decoder.runMainLayers(weights.layers)
        case .module(let index):
            let module = weights.modules[index]
            decoder.multiply(
                ProductJob(
                    module.projection, decoder.kind, input: decoder.space.joined.rows,
                    output: decoder.space.residual.rows, rowCount: decoder.rows))
            decoder.share(decoder.space.residual, .hidden)
            let layer = configuration.layerCount + index
            if lastOnly { decoder.runLast(module.block, layer) } else { decoder.run(module.block, layer) }
        }
        return !decoder.isEnded
    }

    /// Whether other hosts have a part in a stack, or in the logits behind it.
    func isShared(_ stack: Stack) -> Bool {
        guard let others else { return false }
        return others.share.cutsRows || (stack == .main && !others.share.leaderHasAll)
    }

    /// Tells the other hosts what is about to run: the texts' places in their pages, and the rows as they come in.
    private func tell(_ others: OtherHosts, _ stack: Stack, _ decoder: Decoder, _ lastOnly: Bool, rests: Bool) {
        let input = decoder.input(of: stack)
        // Where layers are divided, rows are handed on from layer to layer.
        let width = others.share.cutsRows ? decoder.inputWidth(of: stack) : 0
        others.message.begin(.step) { head in
            (head.rows, head.width, head.spans) = (Int32(decoder.rows), Int32(width), Int32(decoder.spanCount))
            if case .module(let index) = stack { head.module = Int32(index) }
            (head.isChunk, head.lastOnly, head.rests) = (decoder.kind == .chunk, lastOnly, rests)
        }
        decoder.appendSpans(to: others.message)
        decoder.forgetPools()
        for row in 0..<decoder.rows where width > 0 {
            others.message.append(UnsafePointer(input[row: row]), count: width)
        }
        others.send()
    }
}

extension Decoder {
    /// What a stack begins with.
    func input(of stack: Machinery.Stack) -> FloatBuffer { stack == .main ? space.residual : space.joined }

    /// Floats of a row of that.
    func inputWidth(of stack: Machinery.Stack) -> Int { (stack == .main ? 1 : 2) * configuration.hiddenSize }
}

extension Decoder {
    /// Adds the step's texts to a message: what they have of their pools, by page number.
    func appendSpans(to message: MessageBuffer) {
        for i in 0..<spanCount {
            let (span, pool) = (space.spans.pointer[i], pools[i])
            let pages = (span.entry + span.count + LatentPool.pagePositions - 1) / LatentPool.pagePositions
            message.append(
                SpanHead(
                    count: Int32(span.count), entry: Int32(span.entry), position: Int32(span.position),
                    pages: Int32(pages), pool: pool.number))
            message.append(count: pages) { Int32(pool.index(span.pages[$0]!)) }
        }
    }
}
