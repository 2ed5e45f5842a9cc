import ForetokenModel
import ForetokenTestSupport
import ForetokenWeights
import FoundationEssentials
import Testing

/// Rotations far out are those of Hugging Face transformers up to what its angles lose in FP32, and exact otherwise.
struct RotationTests {
    private struct Golden: Decodable {
        struct Rotation: Decodable {
            /// [position][pair]
            let cosines, sines: [[Double]]
        }
        struct Shape: Decodable {
            let frequencies: [Double]
            let transformers, exact: Rotation
        }
        let pairs, positions: [Int]
        let shapes: [String: Shape]
    }

    private static func golden() throws -> Golden {
        let path = Fixtures.golden("rope/golden.json")
        return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: URL(filePath: path)))
    }

    /// Frequencies of transformers differ by so much from the exact ones, relatively, and angles are rounded to FP32.
    private static let looseness = 3e-7 + 0x1p-24

    @Test func farRotationsAreThoseOfTransformers() throws {
        let golden = try Self.golden()
        #expect(golden.positions.contains(131_071) && golden.positions.contains(1_048_575) && golden.shapes.count == 8)
        for (name, shape) in golden.shapes {
            let configuration = try SyntheticShape(named: name).whole
            let rotation = Rotation(configuration)
            #expect(rotation.pairs == 32)
            for (wanted, pair) in zip(shape.frequencies, golden.pairs) {
                #expect(abs(configuration.inverseFrequencies[pair] / wanted - 1) < 1e-12, "\(name), pair \(pair)")
            }
            var cosines = [Float](repeating: 0, count: rotation.pairs)
            var sines = cosines
            for (row, position) in golden.positions.enumerated() {
                rotation.fill(&cosines, &sines, position: position)
                for (column, pair) in golden.pairs.enumerated() {
                    let angle = Double(position) * shape.frequencies[column]
                    for (reference, tolerance) in [
                        (shape.exact, 1e-7), (shape.transformers, 1e-6 + angle * Self.looseness),
                    ] {
                        let place = "\(name), position \(position), pair \(pair)"
                        #expect(abs(Double(cosines[pair]) - reference.cosines[row][column]) < tolerance, "\(place)")
                        #expect(abs(Double(sines[pair]) - reference.sines[row][column]) < tolerance, "\(place)")
                    }
                }
            }
        }
    }

    /// A query and a key that are turned alike have the same product wherever both stand.
    @Test func onlyTheDistanceCounts() throws {
        let rotation = Rotation(try SyntheticShape(named: "glm-5.2").whole)
        var (cosines, sines) = ([Float](repeating: 0, count: 32), [Float](repeating: 0, count: 32))
        var (otherCosines, otherSines) = (cosines, sines)
        func products(at position: Int, distance: Int) -> [Float] {
            rotation.fill(&cosines, &sines, position: position)
            rotation.fill(&otherCosines, &otherSines, position: position + distance)
            return (0..<32).map { cosines[$0] * otherCosines[$0] + sines[$0] * otherSines[$0] }
        }
        for distance in [1, 17, 4096] {
            let near = products(at: 0, distance: distance)
            for position in [262_143, 1_044_479] {
                for (one, other) in zip(near, products(at: position, distance: distance)) {
                    #expect(abs(one - other) < 1e-6)
                }
            }
        }
    }
}
