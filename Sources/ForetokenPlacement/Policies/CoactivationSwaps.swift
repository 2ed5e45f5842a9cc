/// Spreads experts so that those that are read together lie on different nodes.
///
/// Kernighan–Lin swaps on Σ over nodes of E[load²] · slowness: the mean square of what one step finds on a node. Its
/// optimum is load in proportion to bandwidth and no pair of friends on one node; it needs only how often each pair is read
/// together, and a swap is judged in constant time.
package struct CoactivationSwaps {
    /// Sweeps over all experts before giving up; a handful is the rule.
    private static let sweepLimit = 60

    /// Experts.
    private let count: Int
    /// [expert][expert] sums of products of both loads, on the diagonal of squares.
    private let coactivation: [Float]

    /// A matrix of `count` rows.
    package init(coactivation: [Float], count: Int) {
        self.coactivation = coactivation
        self.count = count
    }

    /// Only some of the experts, in the order given.
    func selecting(_ members: [Int]) -> CoactivationSwaps {
        CoactivationSwaps(
            coactivation: members.flatMap { row in members.map { coactivation[row * count + $0] } },
            count: members.count)
    }

    /// Σ over nodes of the sum over windows of load² · slowness.
    package func surrogate(_ homes: [Int32], slowness: [Float]) -> Double {
        var sum = 0.0
        for first in 0..<count {
            for second in 0..<count where homes[first] == homes[second] {
                sum += Double(coactivation[first * count + second] * slowness[Int(homes[first])])
            }
        }
        return sum
    }

    /// Swaps experts between nodes as long as that lowers the surrogate; numbers of experts on a node stay.
    package func improve(_ homes: inout [Int32], slowness: [Float]) {
        let nodes = slowness.count
        let mates = UnsafeMutableBufferPointer.filled(Float(0), count: nodes * count)
        let own = UnsafeMutableBufferPointer.filled(Float(0), count: count)
        defer {
            mates.deallocate()
            own.deallocate()
        }
        coactivation.withUnsafeBufferPointer { coactivation in
            homes.withUnsafeMutableBufferPointer { homes in
                slowness.withUnsafeBufferPointer { slowness in
                    var state = State(
                        count: count, coactivation: coactivation, slowness: slowness, homes: homes, mates: mates,
                        own: own)
                    state.countMates()
                    for _ in 0..<Self.sweepLimit where !state.sweep() { break }
                }
            }
        }
    }

    /// The matrices of one improvement.
    private struct State {
        let count: Int
        let coactivation: UnsafeBufferPointer<Float>
        let slowness: UnsafeBufferPointer<Float>
        let homes: UnsafeMutableBufferPointer<Int32>
        /// [node][expert]: co-activation of an expert with all others on a node.
        let mates: UnsafeMutableBufferPointer<Float>
        /// By expert: co-activation with the others on its own node.
        let own: UnsafeMutableBufferPointer<Float>

        func countMates() {
            for expert in 0..<count {
                for other in 0..<count where other != expert {
                    mates[Int(homes[other]) * count + expert] += coactivation[expert * count + other]
                }
            }
            for expert in 0..<count { own[expert] = mates[Int(homes[expert]) * count + expert] }
        }

        /// Gives every expert its best swap; false where none had one.
        mutating func sweep() -> Bool {
            var hasSwapped = false
            for expert in 0..<count {
                guard let other = bestPartner(of: expert) else { continue }
                swap(expert, other)
                hasSwapped = true
            }
            return hasSwapped
        }

        private func bestPartner(of expert: Int) -> Int? {
            let home = Int(homes[expert])
            let row = expert * count
            let (square, here) = (coactivation[row + expert], mates[home * count + expert])
            // Rounding must not look like a gain.
            var best = (partner: -1, change: -1e-4 * square * slowness[home])
            for other in 0..<count {
                let there = Int(homes[other])
                if there == home { continue }
                let (both, otherSquare) = (coactivation[row + other], coactivation[other * count + other])
                let leaving = 2 * (mates[home * count + other] - both - here) + otherSquare - square
                let arriving = 2 * (mates[there * count + expert] - both - own[other]) + square - otherSquare
                let change = slowness[home] * leaving + slowness[there] * arriving
                if change < best.change { best = (other, change) }
            }
            return best.partner < 0 ? nil : best.partner
        }

        private mutating func swap(_ one: Int, _ other: Int) {
            let (a, b) = (Int(homes[one]), Int(homes[other]))
            for expert in 0..<count {
                let withOne = expert == one ? 0 : coactivation[expert * count + one]
                let withOther = expert == other ? 0 : coactivation[expert * count + other]
                mates[a * count + expert] += withOther - withOne
                mates[b * count + expert] += withOne - withOther
            }
            homes[one] = Int32(b)
            homes[other] = Int32(a)
            for expert in 0..<count { own[expert] = mates[Int(homes[expert]) * count + expert] }
        }
    }
}

extension RoutingStatistics {
    /// Swaps over a layer's experts.
    func swaps(_ layer: Int) -> CoactivationSwaps {
        CoactivationSwaps(coactivation: coactivation[layer], count: windows.expertCount)
    }

    /// Nodes of a layer's experts, or of some of them, so that what is read together lies apart: packed by load, then
    /// improved by swaps.
    func spreadHomes(layer: Int, members: [Int]? = nil, slots: [Int], slowness: [Float]) -> [Int32] {
        let loads = loads[layer].map(Float.init)
        var homes = ExpertPacking.pack(members?.map { loads[$0] } ?? loads, slots: slots, slowness: slowness).bin
            .map(Int32.init)
        let swaps = members.map(swaps(layer).selecting) ?? swaps(layer)
        swaps.improve(&homes, slowness: slowness)
        return homes
    }
}
