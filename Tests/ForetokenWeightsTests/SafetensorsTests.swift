import ForetokenTestSupport
import ForetokenWeights
import Testing

private let configurationFile = TinyModel(
    TinyGeometry {
        $0.layers = 1; $0.experts = 4; $0.groups = 2
    }
).files()[0]

/// Opens one safetensors file beside a good config.json.
private func open<Result>(_ file: [UInt8], _ body: (Checkpoint) throws -> Result) throws -> Result {
    try withCheckpoint([configurationFile, ("model.safetensors", file)], body)
}

private func entry(_ name: String, _ type: String = "U8", _ shape: String = "[4]", _ offsets: String = "[0,4]")
    -> String
{
    "\"\(name)\":{\"dtype\":\"\(type)\",\"shape\":\(shape),\"data_offsets\":\(offsets)}"
}

private func file(_ entries: String..., data: Int = 4) -> [UInt8] {
    SafetensorsWriter.container(
        header: "{" + entries.joined(separator: ",") + "}", data: [UInt8](repeating: 7, count: data))
}

@Suite struct SafetensorsTests {
    @Test func readsTensors() throws {
        let bytes = file(
            entry("b", "F32", "[]", "[4,8]"), entry("a\\u00e9\\n", "BF16", "[1,2]"),
            entry("none", "F64", "[3,0]", "[8,8]"),
            "\"__metadata__\":{\"format\":\"pt\"}", entry("six", "F6_E2M3", "[4]", "[8,11]"), data: 11)
        try open(bytes) { checkpoint in
            #expect(checkpoint.tensors.count == 4)
            let tensor = try #require(checkpoint.tensor("aé\n"))
            #expect(tensor.type == .bf16 && tensor.shape == [1, 2] && tensor.elementCount == 2)
            #expect(try #require(checkpoint.tensor("b")).elementCount == 1)
            #expect(try #require(checkpoint.tensor("none")).elementCount == 0)
            var piece = [UInt8](repeating: 0, count: 2)
            try piece.withUnsafeMutableBytes { try checkpoint.read(tensor, fromByte: 1, into: $0) }
            #expect(piece == [7, 7])
        }
    }

    @Test func paddingAfterTheHeaderIsAllowed() throws {
        let bytes = SafetensorsWriter.container(header: "{\(entry("a"))}    ", data: [1, 2, 3, 4])
        try open(bytes) { #expect($0.tensors.count == 1) }
    }

    @Test func refusesDamage() {
        let bad: [(String, [UInt8])] = [
            ("8 bytes", [1, 2, 3]),
            ("length", SafetensorsWriter.container(header: "{}", data: [], statedLength: 3)),
            ("length", SafetensorsWriter.container(header: "{}", data: [], statedLength: .max)),
            ("length", SafetensorsWriter.container(header: "{}", data: [], statedLength: 100_000_001)),
            ("`{`", SafetensorsWriter.container(header: " {}", data: [])),
            ("bad JSON", SafetensorsWriter.container(header: "{\"a\":", data: [])),
            ("bad JSON", SafetensorsWriter.container(header: "{} {}", data: [])),
            ("twice", file(entry("a"), entry("a", "U8", "[4]", "[4,8]"), data: 8)),
            ("twice", file("\"a\":{\"dtype\":\"U8\",\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[0,4]}")),
            ("twice", file(entry("a"), "\"__metadata__\":{\"x\":\"1\",\"x\":\"2\"}")),
            (
                "expected a string as the value of \"dtype\", found a number",
                file("\"a\":{\"dtype\":1,\"shape\":[4],\"data_offsets\":[0,4]}")
            ),
            ("expected an object as the value of \"a\", found null", file("\"a\":null")),
            ("a string", file(entry("a"), "\"__metadata__\":{\"x\":1}")),
            ("unknown dtype", file(entry("a", "F9"))),
            ("unknown field", file("\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"offsets\":[0,4]}")),
            ("incomplete", file("\"a\":{\"dtype\":\"U8\",\"shape\":[4]}")),
            ("incomplete", file(entry("a", "U8", "[4]", "[4]"))),
            ("at most 2", file(entry("a", "U8", "[4]", "[0,4,4]"))),
            ("before it begins", file(entry("a", "U8", "[4]", "[4,0]"))),
            ("overlaps", file(entry("a"), entry("b", "U8", "[4]", "[2,6]"), data: 6)),
            ("overlaps", file(entry("a"), entry("b"), data: 4)),
            ("hole", file(entry("a"), entry("b", "U8", "[4]", "[5,9]"), data: 9)),
            ("hole", file(entry("a", "U8", "[4]", "[1,5]"), data: 5)),
            ("past the end", file(entry("a"), data: 3)),
            ("follow the last tensor", file(entry("a"), data: 5)),
            ("size than its shape", file(entry("a", "U8", "[5]"))),
            ("size than its shape", file(entry("a", "F4", "[3]", "[0,2]"), data: 2)),
            ("fits in memory", file(entry("a", "F32", "[4294967296,4294967296]"))),
            ("fits in memory", file(entry("a", "F32", "[9223372036854775807]"))),
            ("fits in memory", file(entry("a", "F8_E4M3", "[0,9223372036854775807]", "[0,0]"), data: 0)),
            ("whole number", file(entry("a", "U8", "[-4]"))),
            ("whole number", file(entry("a", "U8", "[9223372036854775808]"))),
            ("at most 64", file(entry("a", "U8", "[" + String(repeating: "1,", count: 64) + "4]"))),
            ("unknown field", file("\"a\":" + String(repeating: "{\"a\":", count: 100_000))),
            ("whole number", file("\"a\":{\"shape\":" + String(repeating: "[", count: 3_000))),
            ("UTF-8", [7, 0, 0, 0, 0, 0, 0, 0] + Array("{\"".utf8) + [0xFF] + Array("\":1}".utf8)),
        ]
        for (mention, bytes) in bad {
            let text = complaint { try open(bytes) { _ in } }
            #expect(text.contains(mention) && text.contains("model.safetensors"), "\(mention): \(text)")
        }
    }

    @Test func neverCrashesOnTruncation() {
        let whole = SafetensorsWriter.file(TinyModel.quantizedSample)
        for length in whole.indices {
            #expect(throws: CheckpointError.self) { try open(Array(whole.prefix(length))) { _ in } }
        }
    }

    @Test func neverCrashesOnNoise() {
        let whole = SafetensorsWriter.file(TinyModel.quantizedSample)
        let interesting = Array("\"{}[]:,0123456789-.eE\\u \0\u{7F}".utf8)
        var random = SeededGenerator(seed: 11)
        var accepted = 0
        for _ in 0..<4_000 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<400, using: &random)] = interesting.randomElement(using: &random)!
            }
            do {
                try open(bytes) { checkpoint in
                    accepted += 1
                    // What was accepted must be readable to its last byte.
                    for tensor in checkpoint.tensors.values {
                        var copy = [UInt8](repeating: 0, count: tensor.range.count)
                        try copy.withUnsafeMutableBytes { try checkpoint.read(tensor, fromByte: 0, into: $0) }
                    }
                }
            } catch {
                #expect(error is CheckpointError)
            }
        }
        #expect(accepted < 4_000)
    }

    /// Quadratic work on 100,000 tensors would take hours; the limit leaves room for a slow and busy machine.
    @Test(.timeLimit(.minutes(15))) func manyTinyTensors() throws {
        let tensors = (0..<100_000).map {
            StoredTensor(name: "model.layers.\($0).x", type: .u8, shape: [1], bytes: [UInt8($0 & 255)])
        }
        try open(SafetensorsWriter.file(tensors)) { checkpoint in
            #expect(checkpoint.tensors.count == 100_000)
            #expect(throws: CheckpointError.self) { try WeightLayout(checkpoint) }
        }
    }
}

extension TinyModel {
    /// Three tensors, one of them FP8 with its scale.
    static let quantizedSample = [
        StoredTensor(name: "w_scale_inv", .f32, shape: [2, 1], values: [0.5, 0.25]),
        StoredTensor(name: "n", .bf16, shape: [3], values: [1, 2, 3]),
        StoredTensor(name: "w", type: .fp8, shape: [130, 2], bytes: [UInt8](repeating: 0x38, count: 260)),
    ]
}
