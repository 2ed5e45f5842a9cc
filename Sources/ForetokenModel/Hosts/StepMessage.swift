import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// What the leader tells the others.
enum MessageKind: Int32 {
    /// Run a step's rows through layers.
    case step = 1
    /// A chunk goes on behind the point where it may rest, or ends there.
    case goOn, endStep
    /// Make logits and draw from them; give the last logits of the main model, or of drafts.
    case lmHead, verifierLogits, draftLogits
    /// Get memory for latents, or give it back.
    case makePool, dropPool
    /// Tell what this host has and has waited.
    case figures
    /// The model is not needed any more.
    case leave
    /// Load a model; end.
    case load, end
}

/// How a message begins. Hosts of one program version and one kind of processor read it as it lies.
struct MessageHead: BitwiseCopyable {
    var kind: Int32
    /// Rows that follow, and floats of each.
    var rows: Int32 = 0
    var width: Int32 = 0
    /// Which pool is meant.
    var pool: Int32 = 0
    /// Texts of a step.
    var spans: Int32 = 0
    /// MTP module; -1 for the main model.
    var module: Int32 = -1
    var isChunk = false
    /// Only each text's last row is wanted.
    var lastOnly = false
    /// The chunk may rest where hosts meet.
    var rests = false
    /// The coarse lm_head is meant.
    var isCoarse = false
    /// Latents are kept in BF16.
    var isBF16 = false

    init(_ kind: MessageKind) { self.kind = kind.rawValue }

    var stepKind: StepKind { isChunk ? .chunk : .window }
}

/// One text's rows in a message; its pages' numbers follow.
struct SpanHead: BitwiseCopyable {
    let count: Int32
    let entry: Int32
    let position: Int32
    let pages: Int32
    /// What the pages are of.
    let pool: Int32
}

/// Memory for one message. Making one and reading one allocate nothing.
final class MessageBuffer {
    private let memory: ScratchBuffer<UInt8>
    private var end = 0
    private var start = 0

    /// - Throws: `HardwareError` without memory.
    init(_ c: ModelConfiguration) throws {
        let texts = Workspace.windowRows
        let pages = LatentPool.pages(forPositions: c.maximumPositions)
        let rows = Workspace.chunkRows * 2 * c.hiddenSize * MemoryLayout<Float>.stride
        let tables =
            texts * (MemoryLayout<SpanHead>.stride + 4 * pages + MemoryLayout<Draw>.stride + 4 * c.vocabularySize)
        memory = try ScratchBuffer(count: MemoryLayout<MessageHead>.stride + tables + rows + 4096)
    }

    // MARK: Making

    /// Begins a message.
    func begin(_ kind: MessageKind, _ describe: (inout MessageHead) -> Void) {
        end = 0
        var head = MessageHead(kind)
        describe(&head)
        append(head)
    }

    /// Adds a value.
    func append<Value: BitwiseCopyable>(_ value: Value) {
        reserve(MemoryLayout<Value>.size).storeBytes(of: value, as: Value.self)
    }

    /// Adds elements.
    func append<Element: BitwiseCopyable>(_ elements: UnsafePointer<Element>, count: Int) {
        let bytes = count * MemoryLayout<Element>.stride
        reserve(bytes).copyMemory(from: elements, byteCount: bytes)
    }

    /// Adds numbers, one after the other.
    func append(count: Int, _ number: (Int) -> Int32) {
        let numbers = reserve(count * MemoryLayout<Int32>.stride).assumingMemoryBound(to: Int32.self)
        for i in 0..<count { numbers[i] = number(i) }
    }

    private func reserve(_ bytes: Int) -> UnsafeMutableRawPointer {
        defer { end += (bytes + 15) & ~15 }
        precondition(end + bytes + 15 <= memory.count, "a message has room for any step")
        return UnsafeMutableRawPointer(memory.pointer) + end
    }

    /// The message.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory.pointer, count: end) }

    // MARK: Reading

    /// Takes the leader's next message.
    func receive(from channel: any HostChannel) -> MessageHead {
        end = channel.follow(into: UnsafeMutableRawBufferPointer(start: memory.pointer, count: memory.count))
        start = 0
        return next(MessageHead.self)
    }

    /// The next value.
    func next<Value: BitwiseCopyable>(_: Value.Type) -> Value {
        defer { pass(MemoryLayout<Value>.size) }
        return (UnsafeRawPointer(memory.pointer) + start).loadUnaligned(as: Value.self)
    }

    /// The next elements; valid until the next message.
    func next<Element: BitwiseCopyable>(_: Element.Type, count: Int) -> UnsafePointer<Element> {
        defer { pass(count * MemoryLayout<Element>.stride) }
        return (UnsafeRawPointer(memory.pointer) + start).assumingMemoryBound(to: Element.self)
    }

    private func pass(_ bytes: Int) {
        start += (bytes + 15) & ~15
        precondition(start <= (end + 15) & ~15, "a message of the leader is whole")
    }
}
