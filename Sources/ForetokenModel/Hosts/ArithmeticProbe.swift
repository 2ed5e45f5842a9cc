import CForetokenKernels
import ForetokenHardware
import ForetokenPlacement
import ForetokenWeights
import Glibc

/// Whether hosts compute the same bits: hashes of what steps are made of, on the same made-up numbers everywhere. Hosts with
/// another processor may run the same instruction set and still take another sine from the C library, or another product
/// from OpenBLAS.
package struct ArithmeticProbe: Sendable, Equatable {
    /// What one part of the arithmetic is, or comes to.
    package struct Field: Sendable, Equatable {
        /// For messages.
        package let name: String
        /// The same on all hosts, or they cannot keep their promise.
        package let value: String
    }

    /// Names first, since they explain why hashes differ: instruction set, OpenBLAS, C library.
    package let fields: [Field]

    /// Computes for some milliseconds.
    /// - Parameter instructionSet: the kernels'; nil takes the widest.
    /// - Throws: `InstructionSetError` for one that this machine does not run, `HardwareError` when memory is out.
    package init(instructionSet: String?) throws {
        let kernels = try InstructionSet.table(instructionSet)
        var fields = [
            Field(name: "the instruction set", value: String(cString: kernels.pointee.name)),
            Field(
                name: "OpenBLAS's kernels",
                value: "\(String(cString: foretoken_blas_core())), \(String(cString: foretoken_blas_configuration()))"),
            Field(name: "the C library", value: Self.libraryName()),
        ]
        fields.append(Self.functions())
        fields += try Self.wideProducts()
        fields += try Self.products(kernels)
        fields += try Self.rows(kernels)
        fields.append(try Self.attention(kernels))
        self.fields = fields
    }

    private static func libraryName() -> String {
        var text = [CChar](repeating: 0, count: 64)
        let length = confstr(Int32(_CS_GNU_LIBC_VERSION), &text, text.count)
        guard length > 0 else { return "unknown" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    // MARK: Parts

    private struct Numbers {
        private var random: SplitMix64

        init(seed: UInt64) { random = SplitMix64(seed: seed) }

        mutating func next() -> UInt64 { random.next() }

        /// In -1..<1.
        mutating func float() -> Float { Float(Int32(truncatingIfNeeded: next() >> 40) - (1 << 23)) / Float(1 << 23) }

        mutating func fill(_ buffer: ScratchBuffer<Float>) {
            for i in 0..<buffer.count { buffer.pointer[i] = float() }
        }
    }

    private static func field(_ name: String, _ buffer: ScratchBuffer<Float>) -> Field {
        var hash = FNV1a()
        hash.add(UnsafeRawBufferPointer(buffer.elements))
        return Field(name: "the bits of \(name)", value: hash.digits)
    }

    private static func numbers(_ count: Int, seed: UInt64) throws -> ScratchBuffer<Float> {
        let buffer = try ScratchBuffer<Float>(count: count)
        var numbers = Numbers(seed: seed)
        numbers.fill(buffer)
        return buffer
    }

    /// As positions are turned (double precision) and blocks of context are folded (single).
    private static func functions() -> Field {
        var numbers = Numbers(seed: 1)
        var hash = FNV1a()
        for i in 0..<4096 {
            let angle = Double(i * 31) * Double(abs(numbers.float()))
            for value in [sin(angle), cos(angle)] { hash.add(Int(truncatingIfNeeded: value.bitPattern)) }
            hash.add(Int(exp(-87 * abs(numbers.float())).bitPattern))
        }
        return Field(name: "the bits of sines, cosines and exponentials", value: hash.digits)
    }

    /// One wide unit of a prompt's product, and one as attention multiplies.
    private static func wideProducts() throws -> [Field] {
        let (rows, outputs, columns) = (96, WideUnit.rows, WideScratch.columns(widest: .max / 2))
        let input = try numbers(rows * columns, seed: 2)
        let weights = try numbers(outputs * columns, seed: 3)
        let wide = try ScratchBuffer<Float>(count: rows * outputs)
        foretoken_blas_product(
            input.pointer, columns, weights.pointer, outputs, wide.pointer, outputs, Int32(rows), Int32(outputs),
            Int32(columns), false)
        let transposed = try ScratchBuffer<Float>(count: rows * outputs)
        foretoken_blas_product_transposed(
            input.pointer, columns, weights.pointer, columns, transposed.pointer, outputs, Int32(rows),
            Int32(outputs), Int32(columns), false)
        return [field("a wide product", wide), field("a wide product of keys", transposed)]
    }

    /// Activation rows of 4 by a small matrix in each format.
    private static func products(_ kernels: KernelTable) throws -> [Field] {
        let input = try numbers(4 * MadeMatrix.columns, seed: 4)
        return try MadeMatrix.formats.map { format, name in
            let matrix = try MadeMatrix(format, seed: 5)
            let output = try ScratchBuffer<Float>(count: 4 * MadeMatrix.rows)
            var view = matrix.view
            kernels.pointee.product(
                &view, 0, Int32(MadeMatrix.panels),
                foretoken_rows(base: input.pointer, stride: MadeMatrix.columns, index: nil), 4,
                foretoken_rows(base: output.pointer, stride: MadeMatrix.rows, index: nil), false)
            return field("a product of \(name) weights", output)
        }
    }

    private static func rows(_ kernels: KernelTable) throws -> [Field] {
        let count = 1000
        let (x, y) = (try numbers(count, seed: 6), try numbers(count, seed: 7))
        let norm = try ScratchBuffer<Float>(count: count)
        kernels.pointee.rms_norm(x.pointer, y.pointer, norm.pointer, Int32(count), 1e-6)
        let gated = try ScratchBuffer<Float>(count: count)
        for i in 0..<count { gated.pointer[i] = 20 * x.pointer[i] }
        kernels.pointee.swiglu(gated.pointer, y.pointer, gated.pointer, Int32(count))
        let softmax = try ScratchBuffer<Float>(count: count + 2)
        for i in 0..<count { softmax.pointer[i] = 30 * x.pointer[i] }
        let sum = kernels.pointee.exp_block(softmax.pointer, Int32(count), 0.7, softmax.pointer + count)
        softmax.pointer[count + 1] = sum
        return [field("a norm", norm), field("a SwiGLU", gated), field("a softmax", softmax)]
    }

    /// Two context blocks, the second one not full.
    private static func attention(_ kernels: KernelTable) throws -> Field {
        let (rank, rope, heads, length) = (64, 32, 4, Int(FORETOKEN_CONTEXT_BLOCK) + 37)
        let width = rank + rope
        let page = Int(FORETOKEN_CONTEXT_BLOCK) * width
        let memory = try ScratchBuffer<Float>(count: 2 * page)
        let entry = try numbers(length * width, seed: 8)
        let query = try numbers(heads * width, seed: 9)
        let output = try ScratchBuffer<Float>(count: heads * rank)
        let scratch = try ScratchBuffer<Float>(count: foretoken_attention_scratch(Int32(heads), Int32(rank)))
        let pages: [UnsafeMutableRawPointer?] = [.init(memory.pointer), .init(memory.pointer + page)]
        pages.withUnsafeBufferPointer { pages in
            var cache = foretoken_latents(
                pages: pages.baseAddress, offset: 0, format: Int32(FORETOKEN_F32.rawValue), rank: Int32(rank),
                rope: Int32(rope))
            for i in 0..<length { kernels.pointee.store_latent(&cache, Int32(i), entry.pointer + i * width) }
            kernels.pointee.attend(
                &cache, Int32(length), foretoken_rows(base: query.pointer, stride: heads * width, index: nil), 1,
                Int32(heads), 0.21, foretoken_rows(base: output.pointer, stride: heads * rank, index: nil),
                scratch.pointer)
        }
        return field("attention", output)
    }

    // MARK: Matrices

    /// A packed matrix of made-up weights.
    private final class MadeMatrix {
        static let columns = 256
        static let panels = 2
        static let rows = panels * lanes
        static let formats: [(foretoken_format, String)] = [
            (FORETOKEN_F32, "FP32"), (FORETOKEN_BF16, "BF16"), (FORETOKEN_F16, "FP16"), (FORETOKEN_FP8, "FP8"),
            (FORETOKEN_INT8, "INT8"), (FORETOKEN_INT4, "INT4"), (FORETOKEN_EXACT_INT4, "stored INT4"),
        ]
        private static let lanes = Int(FORETOKEN_PANEL_ROWS)
        private static let scaleBlocks = columns / Int(FORETOKEN_SCALE_BLOCK)
        /// Kernels may read the byte in front of a matrix.
        private static let margin = 64

        private let format: foretoken_format
        private let memory: ScratchBuffer<UInt8>
        private let scales: ScratchBuffer<Float>

        init(_ format: foretoken_format, seed: UInt64) throws {
            self.format = format
            let size = foretoken_panel_size(Int32(format.rawValue), Int32(Self.columns))
            memory = try ScratchBuffer(count: Self.margin + Self.panels * size)
            scales = try ScratchBuffer(count: Self.panels * Self.scaleBlocks * Self.lanes)
            var numbers = Numbers(seed: seed)
            for panel in 0..<Self.panels {
                let place = UnsafeMutableRawPointer(memory.pointer + Self.margin + panel * size)
                try pack(place, scales.pointer + panel * Self.scaleBlocks * Self.lanes, &numbers)
            }
        }

        private func pack(
            _ place: UnsafeMutableRawPointer, _ scales: UnsafeMutablePointer<Float>, _ numbers: inout Numbers
        ) throws {
            let count = Self.columns * Self.lanes
            switch format {
            case FORETOKEN_F32:
                for i in 0..<count { place.storeBytes(of: numbers.float(), toByteOffset: 4 * i, as: Float.self) }
            case FORETOKEN_F16:
                for i in 0..<count {
                    // Any sign and fraction, exponents -7...0.
                    let bits = numbers.next()
                    let exponent = UInt16(8 + bits >> 32 & 7)
                    let value = UInt16(truncatingIfNeeded: bits) & 0x83FF | exponent << 10
                    place.storeBytes(of: value, toByteOffset: 2 * i, as: UInt16.self)
                }
            case FORETOKEN_EXACT_INT4:
                // A row has half a byte a column, and a scale for every 32.
                let codes = try ScratchBuffer<UInt8>(count: count / 2)
                for i in 0..<codes.count { codes.pointer[i] = UInt8(truncatingIfNeeded: numbers.next()) }
                let steps = try ScratchBuffer<UInt16>(count: count / 32)
                for i in 0..<steps.count { steps.pointer[i] = foretoken_bf16_encode(abs(numbers.float()) + 0.01) }
                foretoken_pack_int4_panel(
                    codes.pointer, Self.columns / 2, steps.pointer, Self.columns / 32, 32, Int32(Self.lanes),
                    Int32(Self.columns), place)
            default:
                let values = try ScratchBuffer<Float>(count: count)
                numbers.fill(values)
                foretoken_quantise_panel(Int32(format.rawValue), values.pointer, Int32(Self.columns), place, scales)
            }
        }

        var view: foretoken_matrix {
            let isFP8 = format == FORETOKEN_FP8
            return foretoken_matrix(
                panels: memory.pointer + Self.margin, scales: isFP8 ? UnsafePointer(scales.pointer) : nil,
                rows: Int32(Self.rows), columns: Int32(Self.columns), format: Int32(format.rawValue),
                first_scale_block: isFP8 ? Int32(FORETOKEN_SCALE_BLOCK) : 0,
                scale_blocks: isFP8 ? Int32(Self.scaleBlocks) : 0, scale_lanes: isFP8 ? Int32(Self.lanes) : 0)
        }
    }
}
