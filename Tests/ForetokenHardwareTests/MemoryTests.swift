import CForetokenSystem
import ForetokenHardware
import Glibc
import Testing

@Suite struct MemoryTests {
    @Test(arguments: [1, 100, 4096, 4097, (2 << 20) - 1, 2 << 20, (5 << 20) + 7])
    func arenasHoldWhatTheyPromise(byteCount: Int) throws {
        let arena = try MemoryArena(byteCount: byteCount)
        #expect(arena.capacity >= byteCount)
        if byteCount >= MemoryArena.hugePageBytes {
            #expect(Int(bitPattern: arena.base) % MemoryArena.hugePageBytes == 0)
        }
        let bytes = arena.allocate(byteCount: byteCount).assumingMemoryBound(to: UInt8.self)
        #expect((0..<byteCount).allSatisfy { bytes[$0] == 0 })
        memset(bytes, 0xFF, byteCount)
        #expect(arena.used >= byteCount && arena.used <= arena.capacity)
    }

    @Test func allocationsAreAlignedAndApart() throws {
        let arena = try MemoryArena(byteCount: 1 << 16)
        let floats = arena.allocate(Float.self, count: 3)
        let bytes = arena.allocate(UInt8.self, count: 65)
        let last = arena.allocate(byteCount: 0)
        #expect(Int(bitPattern: floats) % 64 == 0)
        #expect(UnsafeMutableRawPointer(bytes) - UnsafeMutableRawPointer(floats) == 64)
        #expect(last - UnsafeMutableRawPointer(bytes) == 128)
        #expect(arena.used == 192)
    }

    @Test func impossibleSizesAreErrors() {
        #expect(throws: HardwareError.self) { try MemoryArena(byteCount: 0) }
        #expect(throws: HardwareError.self) { try MemoryArena(byteCount: -1) }
        #expect(throws: HardwareError.self) { try MemoryArena(byteCount: Int.max) }
        #expect(throws: HardwareError.self) { try MemoryArena(byteCount: 1 << 60) }
        #expect(throws: HardwareError.self) { try ScratchBuffer<Float>(count: -1) }
        #expect(throws: HardwareError.self) { try ScratchBuffer<Float>(count: Int.max / 2) }
    }

    @Test func scratchIsZeroAndAligned() throws {
        let scratch = try ScratchBuffer<Float>(count: 33)
        #expect(scratch.count == 33)
        #expect(Int(bitPattern: scratch.pointer) % 64 == 0)
        #expect(scratch.elements.allSatisfy { $0 == 0 })
        #expect(try ScratchBuffer<Int64>(count: 0).elements.isEmpty)
    }
}
