// Places memory as the engine does and says where it lies. Exit codes: 0 all of it at home, 1 refused, 2 usage, 4 not
// all of it at home.
import ForetokenHardware
import Glibc

let usage = """
    memory-check policy                  what the system allows
    memory-check place MIB NODE…         one arena on a node, or interleaved over several
    memory-check leave MIB NODE          fills a node until so much is free, and keeps it full until it is killed
    memory-check touch MIB               an arena for each node with CPUs, made real by a thread that runs there
    memory-check linger MIB SECONDS      the same without binding, asked about after a while
    memory-check fit NODE=MIB…           whether a plan fits
    memory-check cached FILE             KiB of the file in the page cache
    """

func complain(_ text: String) { _ = write(STDERR_FILENO, "\(text)\n", text.utf8.count + 1) }

func wrongUsage() -> Never {
    complain(usage)
    exit(2)
}

func mebibytes(_ word: String) -> Int {
    guard let count = Int(word), (1...1 << 30).contains(count) else { wrongUsage() }
    return count << 20
}

/// Prints where the regions lie; the process's exit code says whether all of it is right.
func report(_ regions: [PageCensus.Region], _ policy: MemoryPolicySupport, bound: Bool) throws -> Int32 {
    let census = try PageCensus.take(of: regions, policy: policy)
    let nodes = census.nodes.map { "node \($0.id): \($0.onTargetBytes >> 20) of \($0.intendedBytes >> 20) MiB" }
    print(
        "bound \(bound), share \(census.onTargetFraction), \(nodes.joined(separator: ", ")), huge "
            + "\((census.hugePageBytes ?? 0) >> 20) MiB, \(census.method)")
    return census.onTargetFraction == 1 ? 0 : 4
}

func place(_ bytes: Int, _ nodes: [Int], _ policy: MemoryPolicySupport) throws -> Int32 {
    let home: MemoryHome = nodes.count == 1 ? .node(nodes[0]) : .interleaved(nodes)
    let arena = try MemoryArena(byteCount: bytes, home: home, policy: policy)
    try arena.populate()
    _ = arena.allocate(byteCount: arena.capacity)
    return try report([arena.region], policy, bound: arena.isBound)
}

/// The system's figure of what is free is an estimate, so a node may be full before it says so.
func leave(_ bytes: Int, _ node: Int, _ policy: MemoryPolicySupport) throws {
    var arenas: [MemoryArena] = []
    while let free = NodeMemoryBudget.read(nodes: [node]).nodes.first?.available, free > bytes {
        let arena = try MemoryArena(byteCount: 1 << 20, home: .node(node), policy: policy)
        do { try arena.populate() } catch { break }
        arenas.append(arena)
    }
    print("held \(arenas.count) MiB")
    fflush(nil)
    withExtendedLifetime(arenas) { _ = pause() }
}

/// One worker's arena and what became of it.
final class Touch {
    let arena: MemoryArena
    var error: (any Error)?

    init(_ arena: MemoryArena) { self.arena = arena }

    func populate() {
        do { try arena.populate() } catch { self.error = error }
    }
}

/// What a pool run is told.
final class Touches {
    let all: [Touch]
    /// Nanoseconds of other work after populating: the kernel scans the memory of threads that are busy.
    let busyTime: Int64

    init(_ all: [Touch], busyTime: Int64) {
        self.all = all
        self.busyTime = busyTime
    }

    func work(_ worker: Int) {
        all[worker].populate()
        let end = MonotonicClock.now + busyTime
        while MonotonicClock.now < end {}
    }
}

func touch(_ bytes: Int, _ policy: MemoryPolicySupport, seconds: Int64 = 0) throws -> Int32 {
    let topology = Topology.read()
    let withCPUs = topology.nodes.indices.filter { !topology.workerCPUs(node: $0).isEmpty }
    let touches = Touches(
        try withCPUs.map {
            Touch(try MemoryArena(byteCount: bytes, home: .node(topology.nodes[$0].id), policy: policy))
        }, busyTime: seconds * 1_000_000_000)
    let pool = try WorkerPool(threads: withCPUs.count, cpus: withCPUs.map { topology.workerCPUs(node: $0)[0] })
    pool.run(
        { context, worker, _ in Unmanaged<Touches>.fromOpaque(context!).takeUnretainedValue().work(Int(worker)) },
        Unmanaged.passUnretained(touches).toOpaque())
    for touch in touches.all {
        if let error = touch.error { throw error }
        _ = touch.arena.allocate(byteCount: touch.arena.capacity)
    }
    return try report(touches.all.map(\.arena.region), policy, bound: touches.all.allSatisfy(\.arena.isBound))
}

func fit(_ words: [String]) throws {
    var wanted: [Int: Int] = [:]
    for word in words {
        let parts = word.split(separator: "=")
        guard parts.count == 2, let node = Int(parts[0]) else { wrongUsage() }
        wanted[node] = mebibytes(String(parts[1]))
    }
    let nodes = Topology.read().nodes.map(\.id)
    try NodeMemoryBudget.read(nodes: nodes).check(wanted: wanted, for: "the weights")
}

func cachedBytes(_ path: String) -> Int {
    let file = open(path, O_RDONLY)
    let bytes = Int(lseek(file, 0, SEEK_END))
    guard bytes > 0, let map = mmap(nil, bytes, PROT_READ, MAP_SHARED, file, 0), map != MAP_FAILED else {
        wrongUsage()
    }
    var pages = [UInt8](repeating: 0, count: (bytes + MemoryArena.pageBytes - 1) / MemoryArena.pageBytes)
    mincore(map, bytes, &pages)
    return pages.reduce(0) { $0 + Int($1 & 1) } * MemoryArena.pageBytes
}

let words = Array(CommandLine.arguments.dropFirst())
let policy = try MemoryPolicySupport.probe()
do {
    switch (words.first, words.count) {
    case ("policy", 1): print(policy)
    case ("place", 3...): exit(try place(mebibytes(words[1]), words[2...].compactMap { Int($0) }, policy))
    case ("leave", 3): try leave(mebibytes(words[1]), Int(words[2]) ?? -1, policy)
    case ("touch", 2): exit(try touch(mebibytes(words[1]), policy))
    case ("linger", 3):
        guard let seconds = Int64(words[2]), (0...60).contains(seconds) else { wrongUsage() }
        let unbound = MemoryPolicySupport(bindError: EPERM, threadError: 0, locateError: policy.locateError)
        exit(try touch(mebibytes(words[1]), unbound, seconds: seconds))
    case ("fit", 2...): try fit(Array(words[1...]))
    case ("cached", 2): print(cachedBytes(words[1]) >> 10)
    default: wrongUsage()
    }
} catch {
    complain("error: \(error)")
    exit(1)
}
