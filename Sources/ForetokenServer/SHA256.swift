/// SHA-256 (FIPS 180-4), for keys and for the page's policy: small inputs.
package enum SHA256 {
    private static let constants: [UInt32] = fractions(primes(64), cubeRoot: true)
    private static let start: [UInt32] = fractions(primes(8), cubeRoot: false)

    package static func digest(_ message: [UInt8]) -> [UInt8] {
        var padded = message + [0x80]
        while padded.count % 64 != 56 { padded.append(0) }
        let bitCount = UInt64(message.count) * 8
        padded += stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: bitCount >> $0) }
        var state = start
        for block in stride(from: 0, to: padded.count, by: 64) { mix(padded[block..<block + 64], into: &state) }
        return state.flatMap { word in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> $0) } }
    }

    private static func mix(_ block: ArraySlice<UInt8>, into state: inout [UInt32]) {
        var words = stride(from: block.startIndex, to: block.endIndex, by: 4).map { place in
            block[place..<place + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        }
        func turned(_ word: UInt32, _ count: UInt32) -> UInt32 { word >> count | word << (32 - count) }
        for i in 16..<64 {
            let (a, b) = (words[i - 15], words[i - 2])
            let first = turned(a, 7) ^ turned(a, 18) ^ a >> 3
            let second = turned(b, 17) ^ turned(b, 19) ^ b >> 10
            words.append(words[i - 16] &+ first &+ words[i - 7] &+ second)
        }
        var (a, b, c, d) = (state[0], state[1], state[2], state[3])
        var (e, f, g, h) = (state[4], state[5], state[6], state[7])
        for i in 0..<64 {
            let ends = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)
            let choice = e & f ^ ~e & g
            let first = h &+ ends &+ choice &+ constants[i] &+ words[i]
            let begins = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)
            let majority = a & b ^ a & c ^ b & c
            (h, g, f, e) = (g, f, e, d &+ first)
            (d, c, b, a) = (c, b, a, first &+ begins &+ majority)
        }
        for (i, value) in [a, b, c, d, e, f, g, h].enumerated() { state[i] = state[i] &+ value }
    }

    private static func primes(_ count: Int) -> [UInt64] {
        var primes: [UInt64] = []
        var number: UInt64 = 2
        while primes.count < count {
            if primes.allSatisfy({ number % $0 != 0 }) { primes.append(number) }
            number += 1
        }
        return primes
    }

    /// The first 32 bits behind the point of the numbers' square or cube roots.
    private static func fractions(_ numbers: [UInt64], cubeRoot: Bool) -> [UInt32] {
        numbers.map { number in
            // The largest whole number whose power is at most number · 2⁶⁴ or · 2⁹⁶, found bit by bit.
            var root: UInt64 = 0
            for bit in stride(from: UInt64(36), through: 0, by: -1) {
                let next = root | 1 << bit
                let square = next.multipliedFullWidth(by: next)
                let isSmall =
                    cubeRoot
                    ? isCubeAtMost(next, number) : square.high < number || square.high == number && square.low == 0
                if isSmall { root = next }
            }
            return UInt32(truncatingIfNeeded: root)
        }
    }

    /// Whether n³ is at most number · 2⁹⁶.
    private static func isCubeAtMost(_ n: UInt64, _ number: UInt64) -> Bool {
        let cube = UInt128(n) * UInt128(n) * UInt128(n)
        return cube <= UInt128(number) << 96
    }
}
