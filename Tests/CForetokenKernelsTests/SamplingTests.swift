import CForetokenKernels
import Glibc
import Testing

@Suite struct ArgmaxTests {
    @Test(arguments: Table.reachable)
    func findsTheLargestWhereverItIs(table: Table) {
        var numbers = Numbers(1)
        for n in [1, 2, 7, 8, 9, 31, 1000] {
            var x = numbers.floats(n)
            for place in 0..<n {
                let old = x[place]
                x[place] = 2
                #expect(table.kernels.argmax(x, Int32(n)).index == place)
                if place > 0 {
                    x[place / 2] = 2
                    #expect(table.kernels.argmax(x, Int32(n)).index == place / 2, "ties go to the lower index")
                    x[place / 2] = 0
                }
                x[place] = old
            }
        }
    }

    @Test(arguments: Table.reachable)
    func nanNeverWins(table: Table) {
        #expect(table.kernels.argmax([.nan, -.infinity, .nan], 3).index == 1)
        #expect(table.kernels.argmax([Float](repeating: .nan, count: 19), 19).index == 0)
        #expect(table.kernels.argmax([Float](repeating: -.infinity, count: 19), 19).index == 0)
        var x = [Float](repeating: .nan, count: 40)
        x[33] = -5
        #expect(table.kernels.argmax(x, 40).index == 33)
        x[17] = -5
        #expect(table.kernels.argmax(x, 40).index == 17)
    }
}

@Suite struct RunnerUpTests {
    @Test(arguments: Table.reachable)
    func isTheSecondLargest(table: Table) {
        var numbers = Numbers(3)
        for n in [2, 3, 8, 9, 17, 31, 1000] {
            for round in 0..<50 {
                var x = numbers.floats(n, in: -9 ... -1)
                if round % 3 == 0 { x[round % n] = x[(round / 2) % n] }
                if round % 5 == 0 { x[round % (n - 1)] = .nan }
                let sorted = x.filter { !$0.isNaN }.sorted(by: >)
                let choice = table.kernels.argmax(x, Int32(n))
                #expect(choice.score == sorted[0] && choice.score == x[Int(choice.index)])
                #expect(choice.runner_up == (sorted.count > 1 ? sorted[1] : -.infinity))
            }
        }
        #expect(table.kernels.argmax([4], 1).runner_up == -.infinity)
        #expect(table.kernels.argmax([.nan, .nan], 2).score.isNaN)
    }
}

@Suite struct NoiseTests {
    private static let size = 1 << 20

    /// Euler's constant and π²/6, over consecutive tokens, positions and seeds.
    @Test(arguments: ["tokens", "positions", "seeds"])
    func isStandardGumbel(along axis: String) {
        var bins = [Int](repeating: 0, count: 64)
        var (sum, squares, products, last) = (0.0, 0.0, 0.0, 0.0)
        for i in 0..<UInt64(Self.size) {
            let noise: Float =
                switch axis {
                case "tokens": foretoken_gumbel(foretoken_noise_key(7, 9), Int32(i))
                case "positions": foretoken_gumbel(foretoken_noise_key(7, i), 5)
                default: foretoken_gumbel(foretoken_noise_key(i, 9), 5)
                }
            let g = Double(noise)
            // The distribution function makes it uniform.
            bins[min(63, Int(exp(-exp(-g)) * 64))] += 1
            sum += g
            squares += g * g
            products += (g - 0.5772157) * (last - 0.5772157)
            last = g
        }
        let n = Double(Self.size)
        let mean = sum / n
        #expect(abs(mean - 0.5772157) < 5 * 1.2825 / n.squareRoot())
        #expect(abs(squares / n - mean * mean - 1.6449341) < 5 * 3.44 / n.squareRoot())
        #expect(abs(products / n) < 5 * 1.6449341 / n.squareRoot(), "neighbours are uncorrelated")
        let expected = n / 64
        let chiSquare = bins.reduce(0.0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
        #expect(chiSquare > 20 && chiSquare < 125, "63 degrees of freedom: \(chiSquare)")
    }

    @Test func reachesFarIntoBothTails() {
        let key = foretoken_noise_key(0, 0)
        let noise = (0..<Int32(1 << 22)).map { foretoken_gumbel(key, $0) }
        #expect(noise.allSatisfy { $0.isFinite })
        #expect(noise.max()! > 12 && noise.max()! < 23)
        #expect(noise.min()! < -2.5 && noise.min()! > -3.2)
    }

    @Test func keysAreDistinct() {
        var keys = Set<UInt64>()
        for seed in 0..<UInt64(200) {
            for position in 0..<UInt64(200) { keys.insert(foretoken_noise_key(seed, position)) }
        }
        #expect(keys.count == 40_000)
    }

    /// Known bits: the noise may not differ between instruction sets or releases.
    @Test(arguments: Table.reachable)
    func sampleIsArgmaxOfLogitsAndNoise(table: Table) {
        var numbers = Numbers(2)
        for round in 0..<200 {
            let n = [1, 5, 8, 37, 1003][round % 5]
            let logits = numbers.floats(n, in: -3...3)
            let key = foretoken_noise_key(UInt64(round), 3)
            let scores = logits.enumerated().map { $1 * 0.8 + foretoken_gumbel(key, Int32($0)) }
            let (sampled, largest) = (
                table.kernels.sample(logits, 0, Int32(n), 0.8, key), table.kernels.argmax(scores, Int32(n))
            )
            #expect(sampled.index == largest.index)
            #expect(sampled.score == largest.score && sampled.runner_up == largest.runner_up)
        }
    }

    /// All but one candidate are masked: the sample must follow the scalar noise to the last bit.
    @Test(arguments: Table.reachable)
    func noiseHasTheScalarBitsInEveryLane(table: Table) {
        let key = foretoken_noise_key(11, 12)
        for token in 0..<Int32(4096) {
            let other = (token + 4099) % 8192
            let gap = foretoken_gumbel(key, token) - foretoken_gumbel(key, other)
            var logits = [Float](repeating: -.infinity, count: 8192)
            logits[Int(token)] = 0
            // The rounded sum decides; comparing its neighbours shows a difference of one unit in the last place.
            for nudge in [gap.nextDown, gap, gap.nextUp] {
                logits[Int(other)] = nudge
                let (a, b) = (0 + foretoken_gumbel(key, token), nudge + foretoken_gumbel(key, other))
                let expected = a == b ? min(token, other) : a > b ? token : other
                #expect(table.kernels.sample(logits, 0, 8192, 1, key).index == expected)
            }
        }
    }

    @Test(arguments: Table.reachable)
    func samplesFollowTheSoftmax(table: Table) {
        let logits: [Float] = [2, 0, -1, 1.5, 0.3, -4, 1, 0.9, -0.2, 2.2, -.infinity]
        let weights = logits.map { exp(Double($0) / 1.25) }
        let total = weights.reduce(0, +)
        let draws = 200_000
        var counts = [Int](repeating: 0, count: logits.count)
        for position in 0..<UInt64(draws) {
            let key = foretoken_noise_key(42, position)
            counts[Int(table.kernels.sample(logits, 0, Int32(logits.count), 0.8, key).index)] += 1
        }
        #expect(counts.last == 0)
        let chiSquare = zip(counts, weights).dropLast().reduce(0.0) { sum, pair in
            let expected = Double(draws) * pair.1 / total
            return sum + (Double(pair.0) - expected) * (Double(pair.0) - expected) / expected
        }
        #expect(chiSquare < 33.7, "9 degrees of freedom, p = 0.0001: \(chiSquare)")
    }
}
