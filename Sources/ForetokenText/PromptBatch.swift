/// Prompts as JSON lines, and lines that hold none.
package struct PromptBatch: Sendable {
    /// What a line holds.
    private enum Entry {
        case job(PromptJob)
        case failure(BatchFailure)
    }

    /// What messages call the lines.
    package let name: String
    private var entries: [Entry] = []

    /// Reads all lines that are not blank. One that cannot be used gets its error in place of an answer.
    ///
    /// - Parameters:
    ///   - lines: with their numbers, without line ends.
    ///   - style: how prompts are read that do not say it themselves.
    ///   - base: settings of lines that have none of their own.
    /// - Throws: `InputError` where there is no prompt.
    package init(
        _ lines: some Sequence<(number: Int, bytes: [UInt8])>, of name: String, _ open: OpenModel, style: PromptStyle,
        base: AnswerSettings
    ) throws {
        self.name = name
        var ignored: Set<String> = []
        for (number, bytes) in lines
        where !bytes.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }) {
            do {
                let (line, unknownKeys) = try PromptLine.parse(bytes)
                for key in unknownKeys where ignored.insert(key).inserted {
                    open.tell(.warning("\(name), line \(number): the key \"\(key)\" is unknown and ignored"))
                }
                entries.append(.job(try line.job(open, style: style, base: base, number: number)))
            } catch {
                entries.append(
                    .failure(BatchFailure(id: PromptLine.identifier(bytes), line: number, cause: error)))
            }
        }
        if entries.isEmpty { throw InputError("\(name) holds no prompt") }
    }

    /// The prompts, in order.
    package var jobs: [PromptJob] {
        entries.compactMap { if case .job(let job) = $0 { job } else { nil } }
    }

    /// Most tokens of the prompts that drafts are looked up in together: 128 MiB.
    package static let mostLookedUp = 4 << 20

    /// The prompts that the drafts of all answers can be looked up in: the first ones, as many as there may be. None where there is
    /// one prompt alone, and where drafts are not looked up.
    package var promptsToLookUp: [[Int32]] {
        let jobs = jobs
        guard jobs.count > 1 && jobs[0].settings.looksUp else { return [] }
        var count = 0
        return jobs.map(\.prompt).prefix { prompt in
            count += prompt.count
            return count <= Self.mostLookedUp
        }
    }

    /// By line: why it holds no prompt; nil for one that does.
    package var failures: [BatchFailure?] {
        entries.map { if case .failure(let failure) = $0 { failure } else { nil } }
    }
}

/// Why a line has no answer.
package struct BatchFailure: Error {
    package let id: Identifier?
    package let line: Int
    package let cause: any Error

    package init(id: Identifier?, line: Int, cause: any Error) {
        self.id = id
        self.line = line
        self.cause = cause
    }
}
