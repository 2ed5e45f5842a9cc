import CForetokenKernels
import Glibc
import Testing

@Suite(.serialized) struct ElementwiseTests {
    private let lengths = [1, 3, 7, 8, 9, 64, 511, 512, 1000]

    @Test(arguments: Table.reachable)
    func siluIsAccurateAndSafeEverywhere(table: Table) {
        let one: [Float] = [1]
        func silu(_ x: Float) -> Float {
            var y: [Float] = [.nan]
            table.kernels.swiglu([x], one, &y, 1)
            return y[0]
        }
        var x: Float = -87
        while x < 100 {
            let exact = Double(x) / (1 + exp(-Double(x)))
            #expect(abs(Double(silu(x)) - exact) <= 4e-7 * abs(exact), "silu(\(x))")
            x += 0.0137
        }
        #expect(silu(0) == 0)
        #expect(silu(-1e30) == 0)
        #expect(silu(1e30) == 1e30)
        #expect(abs(silu(-95)) < 1e-36)
        #expect(silu(.nan).isNaN)
    }

    /// The same bits wherever an element stands: vector body or tail.
    @Test(arguments: Table.reachable)
    func bodiesAndTailsAgree(table: Table) {
        var numbers = Numbers(1)
        let (a, b) = (numbers.floats(1000, in: -9...9), numbers.floats(1000, in: -9...9))
        var whole = [Float](repeating: .nan, count: 1000)
        table.kernels.swiglu(a, b, &whole, 1000)
        var fused = b
        table.kernels.add_scaled(0.3, a, &fused, 1000)
        for i in 0..<1000 {
            var single: [Float] = [.nan]
            table.kernels.swiglu([a[i]], [b[i]], &single, 1)
            #expect(single.bits == [whole[i].bitPattern])
            #expect(fused[i].bitPattern == table.multiplyAdd(0.3, a[i], b[i]).bitPattern)
        }
        for n in lengths {
            var part = [Float](repeating: 7, count: n + 3)
            table.kernels.swiglu(a, b, &part, Int32(n))
            #expect(part[..<n].bits == whole[..<n].bits)
            #expect(part[n...].allSatisfy { $0 == 7 })
            var sum = b
            table.kernels.add(a, &sum, Int32(n))
            #expect(sum[..<n].bits == zip(a, b).prefix(n).map { $1 + $0 }.bits)
            #expect(sum[n...].bits == b[n...].bits)
        }
    }

    @Test(arguments: Table.reachable)
    func rmsNormMatchesDoublePrecision(table: Table) {
        var numbers = Numbers(2)
        for n in lengths + [7168] {
            let (x, weight) = (numbers.floats(n, in: -4...4), numbers.floats(n))
            var y = x
            y.withUnsafeMutableBufferPointer {
                table.kernels.rms_norm($0.baseAddress, weight, $0.baseAddress, Int32(n), 1e-6)
            }
            let mean = x.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(n)
            for i in 0..<n {
                let exact = Double(weight[i]) * Double(x[i]) / (mean + 1e-6).squareRoot()
                #expect(abs(Double(y[i]) - exact) <= 1e-6 * abs(exact))
            }
        }
    }

    @Test(arguments: Table.reachable)
    func rotationTurnsInterleavedPairs(table: Table) {
        var numbers = Numbers(3)
        for n in [2, 6, 64, 70] {
            let x = numbers.floats(n)
            let angles = (0..<n / 2).map { Float($0) * 0.7 }
            let (cosines, sines) = (angles.map { cosf($0) }, angles.map { sinf($0) })
            var y = x
            table.kernels.rotate(&y, cosines, sines, Int32(n))
            for i in 0..<n / 2 {
                let (a, b, c, s) = (x[2 * i], x[2 * i + 1], cosines[i], sines[i])
                #expect(y[2 * i].bitPattern == (a * c - b * s).bitPattern)
                #expect(y[2 * i + 1].bitPattern == (a * s + b * c).bitPattern)
            }
        }
    }

    @Test(arguments: Table.reachable)
    func exponentialsSumInOneOrder(table: Table) {
        var numbers = Numbers(4)
        for n in lengths {
            let x = numbers.floats(n, in: -60...60)
            var e = x
            var maximum: Float = .nan
            let sum = table.kernels.exp_block(&e, Int32(n), 0.7, &maximum)
            #expect(maximum == x.map { $0 * 0.7 }.max())
            for i in 0..<n {
                let exact = exp(Double(x[i] * 0.7 - maximum))
                #expect(abs(Double(e[i]) - exact) <= 2.5e-7 * exact + 1e-37)
            }
            // Eight lanes, then halves, quarters and pairs.
            var lanes = [Float](repeating: 0, count: 8)
            for i in 0..<n { lanes[i % 8] += e[i] }
            let quads = (0..<4).map { lanes[$0] + lanes[$0 + 4] }
            #expect(sum == (quads[0] + quads[2]) + (quads[1] + quads[3]))
        }
    }

    @Test(arguments: Table.reachable)
    func maskedScoresWeighNothing(table: Table) {
        var x: [Float] = [1, -.infinity, 0, -1e30, -.infinity]
        var maximum: Float = .nan
        let sum = table.kernels.exp_block(&x, 5, 1, &maximum)
        #expect(x[0] == 1 && x[1] == 0 && x[3] == 0 && x[4] == 0)
        #expect(abs(sum - 1.3678794) < 1e-6)
        var masked = [Float](repeating: -.infinity, count: 11)
        #expect(table.kernels.exp_block(&masked, 11, 1, &maximum) == 0)
        #expect(masked.allSatisfy { $0 == 0 })
    }
}
