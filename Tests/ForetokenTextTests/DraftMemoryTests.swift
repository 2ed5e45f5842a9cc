import ForetokenHardware
import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenText
import FoundationEssentials
import Testing

/// Files of what drafting learnt.
@Suite struct DraftMemoryTests {
    private let folder: TemporaryFolder
    private var cache: CacheFolder { CacheFolder(folder.path + "/a/b") }

    init() throws { folder = try TemporaryFolder() }

    /// Begins a run.
    private func begin(_ key: String = "some model") -> (
        memory: DraftMemory, experience: DraftExperience, told: [Notice]
    ) {
        let experience = DraftExperience()
        var told: [Notice] = []
        let memory = DraftMemory(key: key, cpus: [], experience, in: cache) { told.append($0) }
        return (memory, experience, told)
    }

    private func run(_ key: String = "some model", rounds: Int = 100) {
        let (memory, experience, _) = begin(key)
        for round in 0..<rounds {
            var times = RoundTimes()
            times.verifying = round % 2 == 0 ? 1_000_000 : 1_300_000
            experience.record(rows: 1 + round % 2, texts: 1, times)
        }
        memory.keep()
    }

    private func names() -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: cache.path)) ?? []).sorted()
    }

    private func file() throws -> String { cache.path(of: try #require(names().first)) }

    @Test func laterRunsKnowWhatEarlierOnesLearnt() throws {
        #expect(begin().told.isEmpty && names().isEmpty)
        run(rounds: 20)
        #expect(names().isEmpty, "20 rounds teach too little")
        for count in 1...3 {
            run()
            let (_, experience, told) = begin()
            #expect(told.isEmpty && experience.earlierRuns == count)
        }
        #expect(names().count == 1)
        #expect(begin("another model").experience.earlierRuns == 0)
        let text = String(decoding: try Data(contentsOf: URL(filePath: file())), as: UTF8.self)
        #expect(text.utf8.count < 16_384 && text.contains("\"key\":\"some model\""))
    }

    @Test func whatCannotBeUsedIsIgnoredWithOneLine() throws {
        run("another model")
        let foreign = try Data(contentsOf: URL(filePath: file()))
        try FileManager.default.removeItem(atPath: file())
        run()
        let path = try file()
        let good = String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
        let bad: [(bytes: Data, reason: String)] = [
            (Data(), "damaged"), (Data(good.utf8.dropLast(9)), "damaged"), (Data([0xFF, 0, 1]), "damaged"),
            (Data(good.replacing("\"runs\":1", with: "\"runs\":\"1\"").utf8), "damaged"),
            (Data(good.replacing("\"runs\":1", with: "\"runs\":-1").utf8), "impossible"),
            (Data(good.replacing("\"version\":2", with: "\"version\":9").utf8), "version 9"),
            (Data("{\"knowledge\":{\"version\":1,\"more\":[]}}".utf8), "version 1"),
            (Data(String(repeating: "[", count: 3_000).utf8), "damaged"),
            (Data(count: 1 << 17), "longer than"), (foreign, "another model"),
        ]
        for (bytes, reason) in bad {
            try bytes.write(to: URL(filePath: path))
            let (_, experience, told) = begin()
            #expect(experience.earlierRuns == 0)
            #expect(told.count == 1 && told[0].text.contains(reason), "\(told)")
            #expect(told.first?.text.contains("drafting learns anew") == true)
        }
        run()
        #expect(begin().experience.earlierRuns == 1, "the next run replaces it")
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        #expect(begin().told.first?.text.contains("no file") == true)
        run()
    }

    @Test func withoutAPlaceNothingIsKept() throws {
        try folder.write([], "a")
        run()
        let (_, experience, told) = begin()
        #expect(told.isEmpty && experience.earlierRuns == 0)
    }

    @Test func theNewestFilesAreKept() throws {
        for number in 0..<70 { run("model \(number)") }
        #expect(names().count == 64 && names().allSatisfy { $0.hasPrefix("drafts-") })
    }
}
