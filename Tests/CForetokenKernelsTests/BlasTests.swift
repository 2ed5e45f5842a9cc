import CForetokenKernels
import Testing

@Suite(.serialized) struct BlasTests {
    /// C[rows][n] (+)= A[rows][k] · B, B [k][n] or transposed [n][k], with gaps between rows.
    @Test(arguments: [false, true], [false, true])
    func matchesTheNaiveProduct(transposed: Bool, add: Bool) {
        var numbers = Numbers(1)
        for (rows, n, k) in [(1, 1, 1), (3, 32, 129), (17, 80, 64), (64, 33, 576)] {
            let (aStride, bStride, cStride) = (k + 3, (transposed ? k : n) + 5, n + 2)
            let a = numbers.floats(rows * aStride)
            let b = numbers.floats((transposed ? n : k) * bStride)
            let before = numbers.floats(rows * cStride)
            var c = before
            let product = transposed ? foretoken_blas_product_transposed : foretoken_blas_product
            product(a, aStride, b, bStride, &c, cStride, Int32(rows), Int32(n), Int32(k), add)
            for row in 0..<rows {
                for column in 0..<cStride {
                    let old = before[row * cStride + column]
                    let new = c[row * cStride + column]
                    guard column < n else {
                        #expect(new.bitPattern == old.bitPattern)
                        continue
                    }
                    let exact = (0..<k).reduce(add ? Double(old) : 0) { sum, i in
                        let weight = transposed ? b[column * bStride + i] : b[i * bStride + column]
                        return sum + Double(a[row * aStride + i]) * Double(weight)
                    }
                    #expect(abs(Double(new) - exact) < 1e-5 * Double(k).squareRoot())
                }
            }
        }
    }
}
