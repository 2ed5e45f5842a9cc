import CForetokenSystem
import Glibc

/// Where memory really lies, against where it was meant to.
public struct PageCensus: Sendable, Equatable {
    /// Memory with a home; it must stay mapped during the census.
    public struct Region {
        /// First byte.
        public let base: UnsafeRawPointer
        /// Length in bytes, above 0.
        public let byteCount: Int
        /// Where it is meant to lie. Regions that may lie anywhere are not counted.
        public let home: MemoryHome

        /// A region of `byteCount` bytes from `base` on.
        public init(base: UnsafeRawPointer, byteCount: Int, home: MemoryHome) {
            self.base = base
            self.byteCount = byteCount
            self.home = home
        }

        var addresses: Range<UInt> { UInt(bitPattern: base)..<UInt(bitPattern: base) + UInt(byteCount) }
    }

    /// One node's share, in bytes.
    public struct Node: Sendable, Equatable {
        /// The system's number.
        public let id: Int
        /// What was meant to lie here.
        public internal(set) var intendedBytes = 0
        /// What lies here and was meant to.
        public internal(set) var onTargetBytes = 0
        /// What lies here and was meant to lie elsewhere.
        public internal(set) var strayBytes = 0
    }

    /// How the places were found.
    public enum Method: Sendable, Equatable {
        /// Every page was asked about.
        case everyPage
        /// So many pages, evenly spread, stand for all of them.
        case samples(Int, of: Int)
        /// By the kernel's counts of whole mappings. Approximate where a region is a part of a mapping: it is taken to lie
        /// like the whole.
        case areas(isApproximate: Bool)
        /// The system does not tell.
        case unknown
    }

    /// Nodes that hold something or were meant to, ascending by number.
    public private(set) var nodes: [Node] = []
    /// Bytes whose place the kernel would not tell, mostly since nobody ever touched them. They count as not on target.
    public private(set) var unknownBytes = 0
    /// Bytes in huge pages; nil where the kernel does not say.
    public private(set) var hugePageBytes: Int?
    /// How the places were found.
    public private(set) var method: Method

    /// Bytes of all regions with a home.
    public var intendedBytes: Int { nodes.reduce(0) { $0 + $1.intendedBytes } }
    /// Bytes that lie where they were meant to.
    public var onTargetBytes: Int { nodes.reduce(0) { $0 + $1.onTargetBytes } }
    /// `onTargetBytes` over `intendedBytes`, in 0...1; 1 when nothing was asked about.
    public var onTargetFraction: Double { intendedBytes == 0 ? 1 : Double(onTargetBytes) / Double(intendedBytes) }

    /// What a reader of the numbers must know, or nil when they are exact.
    public var caveat: String? {
        switch method {
        case .everyPage, .areas(isApproximate: false): nil
        case .samples(let asked, let all): "\(asked) of \(all) pages, evenly spread, were asked about"
        case .areas(isApproximate: true): "counted by whole mappings, which hold other memory as well: approximate"
        case .unknown: "this system does not tell where pages lie"
        }
    }

    /// Asks where every page of the regions lies.
    ///
    /// Memory that could not be bound is counted by mappings. NUMA balancing hides its pages from move_pages, and touching
    /// them to find out would move them to the thread that asks.
    ///
    /// - Parameters:
    ///   - regions: memory that is mapped and readable. Pages of unknown place are touched.
    ///   - policy: whether the memory could be bound and move_pages may be asked; numa_maps is read otherwise.
    ///   - pageLimit: the most pages to ask about; of more, every n-th stands for n.
    ///   - proc: where procfs is mounted.
    /// - Throws: `HardwareError` when a system call fails in a way that is no denial.
    public static func take(
        of regions: [Region], policy: MemoryPolicySupport = .untried, pageLimit: Int = 1 << 20, proc: String = "/proc"
    ) throws -> PageCensus {
        let counted = regions.filter { $0.home != .anywhere && $0.byteCount > 0 }
        let areas = MappedAreas.read(proc: proc)
        var census = PageCensus(method: .unknown)
        for region in counted { census.intend(region) }
        if policy.canLocate && (policy.canBind || areas == nil) {
            var found = census
            let error = found.askPages(counted, limit: max(1, pageLimit))
            if error == 0 { census = found }
            if error != 0 && !MemoryPolicySupport.isDenial(error) {
                throw HardwareError.system("asking where pages lie", errno: error)
            }
        }
        if census.method == .unknown { census.count(counted, in: areas) }
        census.hugePageBytes = areas.map { areas in counted.reduce(0) { $0 + Self.hugeBytes(of: $1, in: areas) } }
        census.nodes.sort { $0.id < $1.id }
        return census
    }

    private init(method: Method) { self.method = method }

    // MARK: Counting

    private mutating func update(_ id: Int, _ change: (inout Node) -> Void) {
        let index = nodes.firstIndex { $0.id == id } ?? nodes.endIndex
        if index == nodes.endIndex { nodes.append(Node(id: id)) }
        change(&nodes[index])
    }

    /// Interleaved memory is meant to lie in equal parts.
    private mutating func intend(_ region: Region) {
        let ids = region.home.nodes
        for (index, id) in ids.enumerated() {
            let part = region.byteCount * (index + 1) / ids.count - region.byteCount * index / ids.count
            update(id) { $0.intendedBytes += part }
        }
    }

    private mutating func find(_ bytes: Int, on id: Int, of home: MemoryHome) {
        update(id) { node in
            if home.nodes.contains(id) { node.onTargetBytes += bytes } else { node.strayBytes += bytes }
        }
    }

    // MARK: Asking page by page

    /// Returns the `errno` value of a refusal, or 0.
    private mutating func askPages(_ regions: [Region], limit: Int) -> Int32 {
        let page = UInt(MemoryArena.pageBytes)
        func pages(_ region: Region) -> (first: UInt, count: Int) {
            let first = region.addresses.lowerBound / page
            return (first, Int((region.addresses.upperBound + page - 1) / page - first))
        }
        let total = regions.reduce(0) { $0 + pages($1).count }
        let step = (total + limit - 1) / limit
        var asked = 0
        for region in regions {
            let (first, count) = pages(region)
            var places = [Int32](repeating: 0, count: (count + step - 1) / step)
            let stride = step * Int(page)
            let error = foretoken_page_nodes(
                UnsafeRawPointer(bitPattern: first * page), places.count, stride, &places)
            guard error == 0 else { return error }
            asked += places.count
            for (index, place) in places.enumerated() {
                // A sample stands for the bytes up to the next one; the ends of a region rarely are ends of pages.
                let start = first * page + UInt(index * stride)
                let bytes = (start..<start + UInt(stride)).clamped(to: region.addresses).count
                if place >= 0 { find(bytes, on: Int(place), of: region.home) } else { unknownBytes += bytes }
            }
        }
        method = asked == total ? .everyPage : .samples(asked, of: total)
        return 0
    }

    // MARK: Counting by mappings

    private mutating func count(_ regions: [Region], in areas: MappedAreas?) {
        guard let areas else {
            unknownBytes = intendedBytes
            return
        }
        var isApproximate = false
        for region in regions {
            var rest = region.byteCount
            for area in areas.areas(overlapping: region.addresses) {
                let bytes = area.range.clamped(to: region.addresses).count
                if bytes < area.range.count && area.nodeBytes.count > 1 { isApproximate = true }
                for (id, found) in area.nodeBytes {
                    let part = Self.part(bytes, of: area, holding: found)
                    rest -= part
                    find(part, on: id, of: region.home)
                }
            }
            unknownBytes += max(0, rest)
        }
        method = .areas(isApproximate: isApproximate)
    }

    private static func hugeBytes(of region: Region, in areas: MappedAreas) -> Int {
        areas.areas(overlapping: region.addresses).reduce(0) { sum, area in
            sum + part(area.range.clamped(to: region.addresses).count, of: area, holding: area.hugeBytes)
        }
    }

    /// A part of a mapping is taken to be like the whole.
    private static func part(_ bytes: Int, of area: MappedAreas.Area, holding found: Int) -> Int {
        bytes == area.range.count
            ? min(found, bytes) : Int(Double(min(found, area.range.count)) * (Double(bytes) / Double(area.range.count)))
    }
}

extension MemoryArena {
    /// What the arena has handed out, for a census.
    public var region: PageCensus.Region { .init(base: base, byteCount: used, home: home) }
}
