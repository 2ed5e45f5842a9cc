import CForetokenKernels
import ForetokenModel

/// Draws tokens by keyed Gumbel noise: token = argmax(log p + g), where g depends on (seed, position, token id) alone
/// (Gumbel-max; shared noise between draft and verifier as in arXiv 2408.07978). The token at a position is thus a
/// function of its logits and of the history, however the round that produced them was made up. Ties go to the lower id.
public final class Sampler {
    /// The tokens before the next one, for penalties; it counts nothing when the options have none. Whoever draws keeps
    /// it up to date.
    public let history: TokenHistory
    /// Which tokens may come next; nil where all may. Whoever draws keeps it up to date, too.
    let mask: MaskedText?
    /// Logits under the mask.
    private let masked: UnsafeMutablePointer<Float>
    private let options: SamplingOptions
    private let adjustment: LogitAdjustment?
    private let kernels: UnsafePointer<foretoken_kernels>
    private let limit: Int
    /// Unnormalised probabilities, exp(logit / T − maximum).
    private let weights: UnsafeMutablePointer<Float>
    private let heap: UnsafeMutablePointer<Int32>
    private let kept: UnsafeMutablePointer<Int32>

    /// - Parameters:
    ///   - limit: ids from here on are never drawn (head rows without a token).
    ///   - instructionSet: name of the kernels to use.
    ///   - mask: which tokens may come next; nil where all may.
    public init(
        _ options: SamplingOptions, limit: Int, instructionSet: String, mask: (any TokenMask)? = nil
    ) {
        self.mask = mask.map { MaskedText($0, limit: limit) }
        masked = .allocate(capacity: mask == nil ? 0 : limit)
        self.options = options
        self.limit = limit
        history = TokenHistory(limit: options.isPenalised ? limit : 0)
        adjustment = LogitAdjustment(options, history: history, limit: limit)
        kernels = InstructionSet.known(instructionSet)
        weights = .allocate(capacity: limit)
        heap = .allocate(capacity: limit)
        kept = .allocate(capacity: limit)
    }

    deinit {
        masked.deallocate()
        weights.deallocate()
        heap.deallocate()
        kept.deallocate()
    }

    /// The token for absolute output position `position`; -1 where its mask allows none.
    ///
    /// - Parameter logits: raw logits, `limit` or more; changed during the call and restored.
    public func pick(_ logits: UnsafeMutableBufferPointer<Float>, position: Int) -> Int32 {
        choose(logits, position: position).token
    }

    /// What is added to a token's score at a position, where tokens are drawn.
    func noise(_ token: Int32, position: Int) -> Float {
        foretoken_gumbel(foretoken_noise_key(options.seed, UInt64(position)), token)
    }

    /// The same token, with the scores that decided.
    package func choose(_ logits: UnsafeMutableBufferPointer<Float>, position: Int) -> Choice {
        defer { adjustment?.undo(on: logits.baseAddress!) }
        guard let (values, count) = adjust(logits) else {
            return Choice(token: -1, score: -.infinity, runnerUp: -.infinity)
        }
        guard !isGreedy else { return Choice(kernels.pointee.argmax(values, Int32(count))) }
        let key = foretoken_noise_key(options.seed, UInt64(position))
        let inverse = 1 / options.temperature
        guard options.isFiltered else { return Choice(kernels.pointee.sample(values, 0, Int32(count), inverse, key)) }
        let survivors = filter(values, count, inverse)
        var best = Choice(token: kept[0], score: -.infinity, runnerUp: -.infinity)
        for i in 0..<survivors {
            let id = kept[i]
            let score = values[Int(id)] * inverse + foretoken_gumbel(key, id)
            if score > best.score || (score == best.score && id < best.token) {
                best = Choice(token: id, score: score, runnerUp: best.score)
            } else if score > best.runnerUp {
                best.runnerUp = score
            }
        }
        return best
    }

    /// The distribution that tokens are drawn from, after penalties, bias, temperature and filters: probabilities that
    /// sum to 1, with 0 for tokens that cannot be drawn; all on one token when drawing is greedy. All are 0 where the mask
    /// allows no token.
    ///
    /// - Parameters:
    ///   - logits: raw logits, `limit` or more; changed during the call and restored.
    ///   - probabilities: room for `limit` or more; ids from `limit` on get 0.
    public func distribution(
        _ logits: UnsafeMutableBufferPointer<Float>, into probabilities: UnsafeMutableBufferPointer<Double>
    ) {
        precondition(probabilities.count >= limit)
        defer { adjustment?.undo(on: logits.baseAddress!) }
        probabilities.update(repeating: 0)
        guard let (values, count) = adjust(logits) else { return }
        let survivors = isGreedy ? 0 : filter(values, count, 1 / options.temperature)
        var total = 0.0
        for i in 0..<survivors { total += Double(weights[Int(kept[i])]) }
        guard total > 0 else {
            probabilities[Int(kernels.pointee.argmax(values, Int32(count)).index)] = 1
            return
        }
        for i in 0..<survivors { probabilities[Int(kept[i])] = Double(weights[Int(kept[i])]) / total }
    }

    /// Applies penalties and bias in place, for the caller to undo; returns the logits that may be drawn from, those of
    /// forbidden tokens -infinity; nil where all are. What is -infinity stays so under penalties, so that the mask may come
    /// last.
    private func adjust(_ logits: UnsafeMutableBufferPointer<Float>) -> (UnsafeMutablePointer<Float>, count: Int)? {
        precondition(logits.count >= limit, "logits for all tokens that may be drawn")
        let values = logits.baseAddress!
        adjustment?.apply(to: values)
        guard let mask else { return (values, limit) }
        return mask.apply(to: values, into: masked) ? (masked, limit) : nil
    }

    /// The rule that draws the same tokens in parallel, without looking at rows as a whole; masks, penalties, bias and
    /// filters need the whole row.
    package var rule: DrawRule {
        DrawRule(
            inverseTemperature: isGreedy ? 0 : 1 / options.temperature, limit: limit,
            seed: options.seed)
    }

    /// Whether `rule` says everything; otherwise only `pick` gives the token.
    package var isUnfiltered: Bool { mask == nil && adjustment == nil && (isGreedy || !options.isFiltered) }

    /// How to draw while logits are computed. Where `pick` has to look at them anyway, the likeliest token will do.
    package func draw(position: Int) -> Draw {
        Draw(isUnfiltered ? rule : DrawRule(inverseTemperature: 0, limit: limit, seed: 0), position: position)
    }

    private var isGreedy: Bool { options.isGreedy }

    /// Writes the surviving ids to `kept` and returns their number, at least 1.
    private func filter(_ values: UnsafePointer<Float>, _ count: Int, _ inverse: Float) -> Int {
        weights.update(from: values, count: count)
        var maximum: Float = 0
        let total = kernels.pointee.exp_block(weights, Int32(count), inverse, &maximum)
        var survivors = count
        if options.topK > 0 {
            survivors = takeLikeliest(of: count, most: options.topK, mass: .infinity)
            if options.topP < 1 { survivors = cutNucleus(of: survivors) }
        } else if options.topP < 1 {
            survivors = takeLikeliest(of: count, most: count, mass: options.topP * total)
        } else {
            for i in 0..<count { kept[i] = Int32(i) }
        }
        return options.minP > 0 ? keepLikely(of: survivors) : survivors
    }

    /// Takes ids in order of weight, larger first and lower id on ties, until there are `most` or their weights reach
    /// `mass`. Only as many are sorted as survive.
    private func takeLikeliest(of count: Int, most: Int, mass: Float) -> Int {
        for i in 0..<count { heap[i] = Int32(i) }
        for i in (0..<count / 2).reversed() { sink(i, count) }
        var taken = 0
        var sum: Float = 0
        while taken < min(most, count) {
            kept[taken] = heap[0]
            sum += weights[Int(heap[0])]
            taken += 1
            heap[0] = heap[count - taken]
            sink(0, count - taken)
            if sum >= mass { break }
        }
        return taken
    }

    /// Cuts ranked survivors after the one whose cumulative probability, renormalised over them, crosses top-p.
    private func cutNucleus(of survivors: Int) -> Int {
        var total: Float = 0
        for i in 0..<survivors { total += weights[Int(kept[i])] }
        var sum: Float = 0
        for i in 0..<survivors {
            sum += weights[Int(kept[i])]
            if sum >= options.topP * total { return i + 1 }
        }
        return survivors
    }

    private func keepLikely(of count: Int) -> Int {
        var survivors = 0
        // The likeliest token's weight is exp(0) = 1.
        for i in 0..<count where weights[Int(kept[i])] >= options.minP {
            kept[survivors] = kept[i]
            survivors += 1
        }
        return max(1, survivors)
    }

    private func precedes(_ a: Int32, _ b: Int32) -> Bool {
        let x = weights[Int(a)]
        let y = weights[Int(b)]
        return x > y || (x == y && a < b)
    }

    private func sink(_ start: Int, _ count: Int) {
        guard start < count else { return }
        var i = start
        let moving = heap[i]
        while 2 * i + 1 < count {
            var child = 2 * i + 1
            if child + 1 < count && precedes(heap[child + 1], heap[child]) { child += 1 }
            guard precedes(heap[child], moving) else { break }
            heap[i] = heap[child]
            i = child
        }
        heap[i] = moving
    }
}
