import Glibc

/// How fast the CPUs of each node read the memory of each: bandwidths of plain sequential reads, latencies of dependent
/// ones, and what is left of the bandwidths while all nodes read at once.
public struct NumaBandwidth: Sendable, Equatable, Codable {
    /// The best and the worst of several readings of one quantity.
    public struct Figure: Sendable, Equatable, Codable {
        /// Highest bandwidth in bytes a second, or lowest latency in nanoseconds.
        public let best: Double
        /// Lowest bandwidth, or highest latency.
        public let worst: Double
        /// Number of readings.
        public let readings: Int

        /// A figure made by hand.
        public init(best: Double, worst: Double, readings: Int) {
            self.best = best
            self.worst = worst
            self.readings = readings
        }

        /// The distance between best and worst over the best: 0 is perfect agreement.
        public var spread: Double { abs(best - worst) / best }
    }

    /// How the memory that was read came to its node.
    public enum Placement: String, Sendable, Codable {
        /// Bound to it (mbind).
        case bound
        /// Touched first by one of its CPUs, since memory policy calls are denied.
        case firstTouch = "first_touch"
        /// Not at all: policy calls are denied and there is no CPU to touch it, or there is too little free memory.
        case none
    }

    /// A node whose memory was read.
    public struct Memory: Sendable, Equatable, Codable {
        /// The system's number.
        public let id: Int
        /// Bytes that were read.
        public let bufferBytes: Int
        /// How they came there.
        public let placement: Placement
        /// Fraction of sampled pages that lay there, 0…1; nil where that cannot be asked.
        public let share: Double?

        /// A node's memory; see the fields.
        public init(id: Int, bufferBytes: Int, placement: Placement, share: Double?) {
            self.id = id
            self.bufferBytes = bufferBytes
            self.placement = placement
            self.share = share
        }
    }

    /// A memory-only node, read by another node's CPUs while these also read their own memory.
    public struct Tier: Sendable, Equatable, Codable {
        /// The system's number of the memory-only node.
        public let memory: Int
        /// The system's number of the node whose CPUs read it: the nearest.
        public let reader: Int
        /// Bytes a second from the memory-only node.
        public let read: Figure
        /// Bytes a second from the reader's own memory meanwhile.
        public let own: Figure

        /// A tier; see the fields.
        public init(memory: Int, reader: Int, read: Figure, own: Figure) {
            self.memory = memory
            self.reader = reader
            self.read = read
            self.own = own
        }
    }

    /// Version of this format.
    public static let currentVersion = 1
    /// `currentVersion` of the program that measured.
    public var version = Self.currentVersion
    /// `Topology.fingerprint` of the machine that was measured.
    public var fingerprint: String
    /// The system's numbers of the nodes with CPUs, ascending: the rows of the tables.
    public var cpuNodes: [Int]
    /// Threads that read, one a physical core, by row.
    public var threads: [Int]
    /// The nodes with memory, ascending: the columns of the tables.
    public var memory: [Memory]
    /// [row][column]: bytes a second of all the row's threads together; nil where it could not be measured.
    public var read: [[Figure?]]
    /// [row][column]: nanoseconds of a dependent read by one thread.
    public var latency: [[Figure?]]
    /// By column: bytes a second that the threads counted to the node read from it while all nodes do so; nil for nodes
    /// without threads.
    public var together: [Figure?]
    /// Memory-only nodes.
    public var tiers: [Tier]
    /// What a reader of the figures must know: what could not be bound, checked or measured.
    public var remarks: [String]
    /// When it was measured: seconds since 1970; nil for figures that are no measurement.
    public var measuredAt: Int?

    /// A measurement in which nothing has been measured yet.
    public init(fingerprint: String, cpuNodes: [Int], threads: [Int], memory: [Memory]) {
        self.fingerprint = fingerprint
        self.cpuNodes = cpuNodes
        self.threads = threads
        self.memory = memory
        read = cpuNodes.map { _ in memory.map { _ in nil } }
        latency = read
        together = memory.map { _ in nil }
        tiers = []
        remarks = []
    }

    /// The day it was measured (UTC), as 2026-11-29; nil for figures that are no measurement.
    public var day: String? {
        guard let measuredAt else { return nil }
        var seconds = time_t(measuredAt)
        var date = tm()
        guard gmtime_r(&seconds, &date) != nil else { return nil }
        func padded(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(Int(date.tm_year) + 1900)-\(padded(date.tm_mon + 1))-\(padded(date.tm_mday))"
    }

    /// The largest distance between best and worst of the figures that plans count with: all nodes at once.
    public var spread: Double {
        (together.compactMap { $0?.spread } + tiers.flatMap { [$0.read.spread, $0.own.spread] }).max() ?? 0
    }

    /// Whether the tables have the sizes they should and every figure can be true. Says what is wrong, or nil.
    public var fault: String? {
        guard version == Self.currentVersion else { return "it has version \(version), not \(Self.currentVersion)" }
        let isWhole =
            threads.count == cpuNodes.count && read.count == cpuNodes.count && latency.count == cpuNodes.count
            && (read + latency + [together]).allSatisfy { $0.count == memory.count }
        guard isWhole, !cpuNodes.isEmpty, !memory.isEmpty else { return "its tables have the wrong sizes" }
        let figures = (read + latency + [together]).joined().compactMap { $0 } + tiers.flatMap { [$0.read, $0.own] }
        let isPossible = figures.allSatisfy {
            $0.best.isFinite && $0.best > 0 && $0.worst.isFinite && $0.worst > 0 && $0.readings > 0
        }
        guard isPossible, threads.allSatisfy({ $0 > 0 }) else { return "a figure in it is impossible" }
        let known = Set(memory.map(\.id))
        guard tiers.allSatisfy({ known.contains($0.memory) && cpuNodes.contains($0.reader) }) else {
            return "it names a node it does not describe"
        }
        return nil
    }
}
