/// The mappings of this process, with what the kernel counts in each: /proc/self/numa_maps and /proc/self/smaps.
///
/// No memory policy call is needed for it. The kernel counts mapping by mapping and joins neighbours that are alike.
struct MappedAreas: Equatable {
    struct Area: Equatable {
        /// Addresses.
        let range: Range<UInt>
        /// Bytes that lie on each node, by the system's numbers.
        let nodeBytes: [Int: Int]
        /// Bytes in transparent or explicit huge pages.
        let hugeBytes: Int
    }

    /// Ascending by address.
    let areas: [Area]

    /// The areas that have addresses in common with a range, ascending.
    func areas(overlapping range: Range<UInt>) -> ArraySlice<Area> {
        let rest = areas[firstIndex(endingAfter: range.lowerBound)...]
        return rest.prefix { $0.range.lowerBound < range.upperBound }
    }

    private func firstIndex(endingAfter address: UInt) -> Int {
        var (low, high) = (0, areas.count)
        while low < high {
            let middle = (low + high) / 2
            if areas[middle].range.upperBound > address { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// Asks the system; nil where the kernel does not count by node, or in a way that cannot be understood. Whoever asks says
    /// that it is not known where memory lies: it may lie right all the same.
    static func read(proc: String) -> MappedAreas? {
        let (numaMaps, smaps) = ("\(proc)/self/numa_maps", "\(proc)/self/smaps")
        var findings = Findings()
        guard let counts = findings.text(numaMaps), let extents = findings.text(smaps) else { return nil }
        return findings.attempt(numaMaps) {
            try MappedAreas(numaMaps: counts, smaps: extents, sources: (numaMaps, smaps))
        }
    }

    /// - Parameter sources: names of the two texts, for errors.
    init(numaMaps: String, smaps: String, sources: (numaMaps: String, smaps: String)) throws {
        let counts = try Self.nodeBytes(numaMaps, source: sources.numaMaps)
        areas = try Self.extents(smaps, source: sources.smaps).map { extent in
            Area(
                range: extent.range, nodeBytes: counts[extent.range.lowerBound] ?? [:],
                hugeBytes: extent.hugeBytes)
        }.sorted { $0.range.lowerBound < $1.range.lowerBound }
    }

    /// Lines like "7f0e1c000000 prefer:1 anon=4096 dirty=4096 N1=4096 kernelpagesize_kB=4", by start address.
    private static func nodeBytes(_ text: String, source: String) throws -> [UInt: [Int: Int]] {
        var result: [UInt: [Int: Int]] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard let word = words.first, let start = UInt(word, radix: 16) else {
                throw HardwareError(.file, "\(source): expected an address first, found \"\(line.prefix(80))\"")
            }
            var pages: [Int: Int] = [:]
            var pageBytes: Int?
            for word in words.dropFirst() {
                guard let equals = word.firstIndex(of: "=") else { continue }
                let (key, value) = (word[..<equals], Int(word[word.index(after: equals)...]))
                if key == "kernelpagesize_kB" {
                    pageBytes = value.flatMap { (1...1 << 30).contains($0) ? $0 << 10 : nil }
                } else if key.first == "N", let node = Int(key.dropFirst()), let value {
                    pages[node] = value
                }
            }
            guard !pages.isEmpty else { continue }
            guard let pageBytes, pages.allSatisfy({ $0.key >= 0 && (0...Int.max / pageBytes).contains($0.value) })
            else {
                throw HardwareError(
                    .file, "\(source): expected page counts and kernelpagesize_kB, found \"\(line.prefix(160))\"")
            }
            result[start] = pages.mapValues { $0 * pageBytes }
        }
        return result
    }

    /// Header lines like "7f0e1c000000-7f0e1d000000 rw-p …", each followed by "AnonHugePages:   2048 kB" and others.
    private static func extents(
        _ text: String, source: String
    ) throws -> [(range: Range<UInt>, hugeBytes: Int)] {
        let hugeKeys: Set<Substring> = ["AnonHugePages", "ShmemPmdMapped", "Private_Hugetlb", "Shared_Hugetlb"]
        var result: [(range: Range<UInt>, hugeBytes: Int)] = []
        for line in text.split(separator: "\n") {
            guard let word = line.split(separator: " ", maxSplits: 1).first else { continue }
            if word.last == ":" {
                guard !result.isEmpty, hugeKeys.contains(word.dropLast()) else { continue }
                guard let bytes = SystemFile.byteCount(String(SystemFile.trimmed(line[word.endIndex...]))) else {
                    throw HardwareError(.file, "\(source): expected a size in kB, found \"\(line.prefix(80))\"")
                }
                result[result.count - 1].hugeBytes += bytes
            } else {
                let ends = word.split(separator: "-").map { UInt($0, radix: 16) }
                guard ends.count == 2, let start = ends[0], let end = ends[1], start < end else {
                    throw HardwareError(
                        .file, "\(source): expected an address range first, found \"\(line.prefix(80))\"")
                }
                result.append((start..<end, 0))
            }
        }
        return result
    }
}
