import ForetokenTestSupport

/// A reader under test, with sound inputs to damage.
struct Target {
    /// How to damage its inputs.
    let form: Mutator.Form
    /// Sound inputs.
    let corpus: [[UInt8]]
    /// Seconds of processor time that an input may take.
    var seconds = 20
    /// Bytes of address space that it may take; nil where that has no limit.
    var addressSpace: Int? = 6 << 30
    /// Reads an input. Refusals are errors of the project's own types; `Unclean` says that something is wrong.
    let read: ([UInt8]) throws -> Void

    /// The damaged input of that number.
    func input(_ number: Int, seed: UInt64, name: String) -> [UInt8] {
        var mutator = Mutator(SeededGenerator(seed: seed &* 1_000_003 &+ UInt64(number), name: name))
        return mutator.input(corpus, form)
    }

    /// Reads an input and judges how it was refused.
    /// - Returns: whether it was accepted.
    /// - Throws: `Unclean`.
    func accepts(_ bytes: [UInt8]) throws -> Bool {
        do {
            try read(bytes)
            return true
        } catch let unclean as Unclean {
            throw unclean
        } catch is Refusal {
            return false
        } catch {
            let type = String(reflecting: type(of: error))
            guard type.hasPrefix("Foretoken") else { throw Unclean("an error of type \(type): \(error)") }
            try Unclean.check(message: "\(error)")
            return false
        }
    }
}

/// What a reader must not do with any input.
struct Unclean: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }

    /// What only a programmer understands.
    private static let dumps = [
        "Error Domain=", "DecodingError", "Optional(", "fatalError", "Fatal error", "NSCocoa", "Swift.", "CodingKeys",
        "Stack dump",
        "SIGSEGV", "AddressSanitizer", "debugDescription",
    ]

    /// Checks that a message is for its reader: text of some size that is there, without dumps.
    static func check(message: String) throws {
        guard !message.isEmpty else { throw Unclean("an empty message") }
        guard message.utf8.count < 20_000 else { throw Unclean("a message of \(message.utf8.count) bytes") }
        for dump in dumps where message.contains(dump) { throw Unclean("a dump (\(dump)) in: \(message.prefix(500))") }
    }
}
