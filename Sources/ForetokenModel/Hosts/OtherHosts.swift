import CForetokenKernels
import ForetokenHardware
import ForetokenWeights
import Synchronization

/// A model's other hosts as its steps see them: who makes which columns of what, and the memory in which these travel.
/// Whatever passes between hosts is gathered, never summed, so that bits do not depend on how many there are.
package final class OtherHosts {
    /// How they talk.
    package let channel: any HostChannel
    /// What this host has of the model.
    let share: HostShare
    /// The message that is being made or read.
    let message: MessageBuffer
    private let configuration: ModelConfiguration
    private let staging: ScratchBuffer<Float>
    /// [hosts + 1]: where each host's bytes begin in `staging`, and the end.
    private let byteBounds: ScratchBuffer<Int>
    private let tables: ScratchBuffer<Int32>
    private var nextPool: Int32 = 0
    private var areFollowing = false
    /// Pools of the leader that are gone and of which followers do not know yet.
    private let gonePools = Mutex<[Int32]>([])

    /// Buffers whose columns are cut over hosts.
    enum Columns: Int, CaseIterable {
        /// Weighted values of all heads.
        case attended
        /// The residual stream.
        case hidden
        /// SwiGLU of a routed expert, of the shared expert, and of a dense layer.
        case expert, shared, dense
        /// Logits.
        case vocabulary
    }

    /// Rows of which every host has made some columns.
    struct Rows {
        let base: UnsafeMutablePointer<Float>
        let stride: Int
        let count: Int
        let columns: Columns
    }

    /// - Throws: `HardwareError` without memory.
    package init(_ channel: any HostChannel, _ share: HostShare, _ configuration: ModelConfiguration) throws {
        precondition(
            channel.count == share.count && channel.rank == share.rank, "the channel is of the hosts that share")
        self.channel = channel
        self.share = share
        self.configuration = configuration
        let c = configuration
        let widest = max(
            c.headCount * c.valueDimension, c.hiddenSize, c.intermediateSize,
            (c.expertsPerToken + c.sharedExpertCount) * c.expertIntermediateSize)
        staging = try ScratchBuffer(count: max(Workspace.chunkRows * widest, Workspace.windowRows * c.vocabularySize))
        byteBounds = try ScratchBuffer(count: share.count + 1)
        message = try MessageBuffer(configuration)
        tables = try ScratchBuffer(count: Columns.allCases.count * (share.count + 1))
        for columns in Columns.allCases {
            for (host, bound) in Self.bounds(columns, share, configuration).enumerated() {
                tables.pointer[columns.rawValue * (share.count + 1) + host] = Int32(bound)
            }
        }
    }

    /// Where hosts' columns begin, and the end.
    private static func bounds(_ columns: Columns, _ share: HostShare, _ c: ModelConfiguration) -> [Int] {
        switch columns {
        case .attended:
            share.headBounds(c.headCount, width: c.queryDimension).map { $0 * c.valueDimension }
        case .hidden: share.rowBounds(c.hiddenSize)
        case .expert: share.rowBounds(c.expertIntermediateSize)
        case .shared: share.rowBounds(c.sharedExpertCount * c.expertIntermediateSize)
        case .dense: share.rowBounds(c.intermediateSize)
        case .vocabulary: share.rowBounds(c.vocabularySize)
        }
    }

    /// Whether this host leads.
    var leads: Bool { share.rank == 0 }

    private func bounds(_ columns: Columns) -> UnsafePointer<Int32> {
        UnsafePointer(tables.pointer + columns.rawValue * (share.count + 1))
    }

    private func columns(_ rows: Rows, of host: Int) -> Range<Int> {
        let bounds = bounds(rows.columns)
        return Int(bounds[host])..<Int(bounds[host + 1])
    }

    // MARK: Meetings

    /// Gives all hosts what each has made.
    func exchange(_ first: Rows, _ second: Rows? = nil) {
        pack(first, second)
        channel.exchange(staging.pointer, bounds: byteBounds.pointer)
        unpack(first, second)
    }

    /// Gives the leader what each host has made.
    func gather(_ rows: Rows) {
        pack(rows, nil)
        channel.gather(staging.pointer, bounds: byteBounds.pointer)
        if leads { unpack(rows, nil) }
    }

    private func pack(_ first: Rows, _ second: Rows?) {
        var floats = 0
        for host in 0..<share.count {
            byteBounds.pointer[host] = floats * MemoryLayout<Float>.stride
            if host == share.rank {
                copy(first, of: host, staged: staging.pointer + floats, isOut: true)
                if let second {
                    let after = floats + first.count * columns(first, of: host).count
                    copy(second, of: host, staged: staging.pointer + after, isOut: true)
                }
            }
            floats += first.count * columns(first, of: host).count
            if let second { floats += second.count * columns(second, of: host).count }
        }
        byteBounds.pointer[share.count] = floats * MemoryLayout<Float>.stride
    }

    private func unpack(_ first: Rows, _ second: Rows?) {
        for host in 0..<share.count where host != share.rank {
            let staged = staging.pointer + byteBounds.pointer[host] / MemoryLayout<Float>.stride
            copy(first, of: host, staged: staged, isOut: false)
            if let second {
                copy(second, of: host, staged: staged + first.count * columns(first, of: host).count, isOut: false)
            }
        }
    }

    private func copy(_ rows: Rows, of host: Int, staged: UnsafeMutablePointer<Float>, isOut: Bool) {
        let columns = columns(rows, of: host)
        guard !columns.isEmpty else { return }
        for row in 0..<rows.count {
            let (place, values) = (staged + row * columns.count, rows.base + row * rows.stride + columns.lowerBound)
            if isOut {
                place.update(from: values, count: columns.count)
            } else {
                values.update(from: place, count: columns.count)
            }
        }
    }

    /// Rows that one host has are given to all.
    func hand(_ buffer: FloatBuffer, _ count: Int, width: Int, from host: Int) {
        let floats = count * width
        for bound in 0...share.count {
            byteBounds.pointer[bound] = bound > host ? floats * MemoryLayout<Float>.stride : 0
        }
        if share.rank == host {
            for row in 0..<count { (staging.pointer + row * width).update(from: buffer[row: row], count: width) }
        }
        channel.exchange(staging.pointer, bounds: byteBounds.pointer)
        if share.rank != host {
            for row in 0..<count { buffer[row: row].update(from: staging.pointer + row * width, count: width) }
        }
    }

    /// Gives the leader `count` elements of every host.
    /// - Returns: on the leader, all hosts' elements in order; valid until the next meeting.
    func gather<Element: BitwiseCopyable>(_ own: UnsafePointer<Element>, count: Int) -> UnsafePointer<Element> {
        let bytes = count * MemoryLayout<Element>.stride
        for host in 0...share.count { byteBounds.pointer[host] = host * bytes }
        let base = UnsafeMutableRawPointer(staging.pointer)
        (base + share.rank * bytes).copyMemory(from: own, byteCount: bytes)
        channel.gather(base, bounds: byteBounds.pointer)
        return UnsafePointer(base.assumingMemoryBound(to: Element.self))
    }

    /// Waits on the leader until every host has come here.
    func waitForAll() {
        var nothing: UInt8 = 0
        _ = gather(&nothing, count: 1)
    }

    // MARK: What the leader says

    /// Sends the message that has been made; before it, what followers do not know yet.
    func send() {
        tellGonePools()
        channel.lead(message.bytes)
    }

    /// Sends a message that is no more than its kind.
    func send(_ kind: MessageKind) {
        tellGonePools()
        sendHead(MessageHead(kind))
    }

    private func sendHead(_ head: MessageHead) {
        withUnsafeBytes(of: head) { channel.lead($0) }
    }

    private func tellGonePools() {
        let gone = gonePools.withLock { pools in
            defer { pools = [] }
            return pools
        }
        for pool in gone {
            var head = MessageHead(.dropPool)
            head.pool = pool
            sendHead(head)
        }
    }

    /// Makes every host get memory for latents.
    /// - Returns: the number by which messages name it.
    /// - Throws: `HardwareError` where one has none.
    func makePool(_ shape: PageShape, pages: Int) throws -> Int32 {
        let number = nextPool
        nextPool += 1
        message.begin(.makePool) { head in
            head.pool = number
            (head.rows, head.width) = (Int32(pages), Int32(shape.modules))
            head.isBF16 = shape.type == .bf16
        }
        send()
        var good: Int32 = 1
        let all = gather(&good, count: 1)
        guard let host = (0..<share.count).first(where: { all[$0] != 1 }) else { return number }
        dropPool(number)
        throw HardwareError(
            .memory,
            "rank \(host) has no memory for \(pages) pages of latents, \(FigureText.binaryBytes(pages * shape.pageBytes)) in all"
        )
    }

    /// Takes note that a pool is gone, on any thread.
    func dropPool(_ number: Int32) { gonePools.withLock { $0.append(number) } }

    /// All hosts have loaded their parts: the others follow from now on.
    package func begin() { areFollowing = true }

    deinit {
        if leads && areFollowing { send(.leave) }
    }
}
