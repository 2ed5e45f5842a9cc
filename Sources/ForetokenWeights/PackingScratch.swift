/// One thread's staging memory; grows to the largest task and is freed with the thread's work.
struct PackingScratch: ~Copyable {
    private(set) var weights = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
    private(set) var scales = UnsafeMutablePointer<Float>.allocate(capacity: 16)
    /// Scales of packed codes, BF16, where block scales lie otherwise; half as large.
    var codeScales: UnsafeMutablePointer<UInt16> {
        UnsafeMutableRawPointer(scales).assumingMemoryBound(to: UInt16.self)
    }
    /// One panel as stored, and its values.
    var panel: UnsafeMutableRawPointer { panelRoom + Self.front }
    private(set) var values = UnsafeMutablePointer<Float>.allocate(capacity: 16)
    /// Kernels may read a byte in front of a panel.
    private static let front = 64
    private var panelRoom = UnsafeMutableRawPointer.allocate(byteCount: front + 64, alignment: 64)
    private var weightBytes = 64
    private var scaleCount = 16
    private var panelCapacity = 16

    mutating func reserve(weightBytes bytes: Int) {
        guard bytes > weightBytes else { return }
        weights.deallocate()
        weights = .allocate(byteCount: bytes, alignment: 64)
        weightBytes = bytes
    }

    mutating func reserve(scaleCount count: Int) {
        guard count > scaleCount else { return }
        scales.deallocate()
        scales = .allocate(capacity: count)
        scaleCount = count
    }

    /// - Parameter count: elements of a panel.
    mutating func reserve(panelElements count: Int) {
        guard count > panelCapacity else { return }
        panelRoom.deallocate()
        values.deallocate()
        panelRoom = .allocate(byteCount: Self.front + count * 4, alignment: 64)
        values = .allocate(capacity: count)
        panelCapacity = count
    }

    deinit {
        weights.deallocate()
        scales.deallocate()
        panelRoom.deallocate()
        values.deallocate()
    }
}
