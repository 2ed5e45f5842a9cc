import ForetokenHardware
import Synchronization

/// Makes the pages of the model's memory real before anything is written to it, each by workers of its node.
final class Population: Sendable {
    /// Consecutive whole pages of one arena.
    private struct Piece: @unchecked Sendable {
        let arena: MemoryArena
        let range: Range<Int>
        let team: Int
    }

    /// Large enough to keep huge pages whole, small enough for all workers of a node to have some.
    private static let pieceBytes = 64 << 20

    private let pieces: [Piece]
    private let pool: WorkerPool
    private let failure = Mutex<(any Error)?>(nil)

    init(_ arenas: [MemoryArena], _ nodes: NodeLayout, _ pool: WorkerPool) {
        self.pool = pool
        pieces = arenas.flatMap { arena in
            let node = nodes.nodes.indices.first { nodes.home($0) == arena.home } ?? nodes.teams[0]
            // Memory without CPUs of its own is filled by the first team.
            let team = nodes.teams.firstIndex(of: node) ?? 0
            return stride(from: 0, to: arena.capacity, by: Self.pieceBytes).map {
                Piece(arena: arena, range: $0..<min($0 + Self.pieceBytes, arena.capacity), team: team)
            }
        }
    }

    /// - Throws: `HardwareError` of kind `memory` when a node is full.
    func run() throws {
        let context = Unmanaged.passUnretained(self).toOpaque()
        withExtendedLifetime(self) {
            pool.run(
                { context, worker, _ in
                    Unmanaged<Population>.fromOpaque(context!).takeUnretainedValue().work(worker: Int(worker))
                }, context)
        }
        if let error = failure.withLock({ $0 }) { throw error }
    }

    private func work(worker: Int) {
        let seat = pool.seats[worker]
        let mine = pieces.filter { seat.serves($0.team) }
        do {
            for piece in mine[seat.share(of: mine.count)] where failure.withLock({ $0 == nil }) {
                try piece.arena.populate(piece.range)
            }
        } catch {
            failure.withLock { if $0 == nil { $0 = error } }
        }
    }
}

extension NodeLayout {
    /// Refuses weights that do not fit, node by node where memory is to lie on nodes.
    /// - Parameter besides: bytes that may lie on any node.
    func check(_ wanted: WeightRegions<Int>, besides: Int, for what: String) throws {
        guard isReal else {
            return try MemoryBudget.read().check(needed: wanted.sum + besides, for: what)
        }
        var byNode: [Int: Int] = [:]
        for (index, node) in nodes.enumerated() {
            if let id = node.id { byNode[id] = wanted.fixed[index] + wanted.experts[index] }
        }
        try NodeMemoryBudget.read(nodes: nodes.compactMap(\.id)).check(wanted: byNode, elsewhere: besides, for: what)
    }
}
