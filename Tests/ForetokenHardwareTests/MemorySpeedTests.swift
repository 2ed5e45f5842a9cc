import CForetokenSystem
import Testing

/// The C loops that measure memory: the plain reader and the chase through a ring.
@Suite struct MemorySpeedTests {
    @Test func readerSeesEveryByte() {
        var memory = [UInt8](repeating: 0, count: 1000)
        let zero = foretoken_read_bandwidth(memory, memory.count)
        for place in 0..<memory.count {
            memory[place] = 1
            #expect(foretoken_read_bandwidth(memory, memory.count) != zero)
            memory[place] = 0
        }
    }

    @Test(arguments: [1, 2, 3, 64, 1000])
    func theRingVisitsEveryLineOnce(lines: Int) {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 64 * lines, alignment: 64)
        defer { memory.deallocate() }
        foretoken_chase_prepare(memory, 64 * lines, 7)
        var visited: Set<Int> = []
        var place = UnsafeRawPointer(memory)
        for _ in 0..<lines {
            visited.insert((place - UnsafeRawPointer(memory)) / 64)
            guard let next = foretoken_chase(place, 1) else { break }
            place = next
        }
        #expect(visited == Set(0..<lines))
        #expect(place == UnsafeRawPointer(memory), "a ring ends where it began")
        #expect(foretoken_chase(memory, lines) == UnsafeRawPointer(memory))
    }

    @Test func theOrderIsRandomAndRepeatable() {
        let lines = 1000
        func order(_ seed: UInt64) -> [Int] {
            let memory = UnsafeMutableRawPointer.allocate(byteCount: 64 * lines, alignment: 64)
            defer { memory.deallocate() }
            foretoken_chase_prepare(memory, 64 * lines, seed)
            return (0..<lines).map { steps in
                foretoken_chase(memory, steps).map { ($0 - UnsafeRawPointer(memory)) / 64 } ?? -1
            }
        }
        let one = order(1)
        #expect(one == order(1) && one != order(2))
        let steps = zip(one, one.dropFirst()).map { $1 - $0 }
        #expect(steps.filter { abs($0) == 1 }.count < 20, "neighbours would be fetched ahead")
    }
}
