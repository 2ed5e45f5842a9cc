extension TokenSequence {
    /// Fills pages with made-up latents, as if a text had been read there: for measurements, since what attention takes
    /// depends on the number of entries and not on what they say. Memory that nobody has written to would not do: the system
    /// backs all of it with one page of zeros, which the caches hold.
    ///
    /// - Parameter positions: those to fill, and the rest of their pages.
    package func makeLatents(_ positions: Range<Int>) {
        precondition(positions.lowerBound >= 0 && positions.upperBound <= capacity, "positions outside the sequence")
        guard let pool, !positions.isEmpty else { return }
        let page = LatentPool.pagePositions
        // Both signs, magnitudes of 0.5 to 1: about those of values that a norm has passed.
        let (random, fixed): (UInt64, UInt64) =
            pool.shape.type == .f32
            ? (0x807F_FFFF_807F_FFFF, 0x3F00_0000_3F00_0000) : (0x807F_807F_807F_807F, 0x3F00_3F00_3F00_3F00)
        for index in positions.lowerBound / page...(positions.upperBound - 1) / page {
            let words = UnsafeMutableRawBufferPointer(start: pages[index], count: pool.shape.pageBytes)
                .bindMemory(to: UInt64.self)
            var state = UInt64(index + 1) &* 0x9E37_79B9_7F4A_7C15
            for i in words.indices {
                // Xorshift (Marsaglia 2003), 13, 7, 17.
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                words[i] = (state & random | fixed).littleEndian
            }
        }
    }
}
