/// What could not be read or understood while the machine was asked, collected by those who read.
///
/// One rule holds for everything below /sys and /proc: what only advises (a cache's size, a limit, a setting) then counts
/// as not known, which `doctor` tells; what decides where memory goes falls back to one node, with a warning for everyone.
public struct Findings: Sendable, Equatable {
    /// A file that says nothing that can be used.
    public struct Unknown: Sendable, Equatable {
        /// Its path.
        public let file: String
        /// What was expected and found, or why it cannot be read; names the file.
        public let reason: String
    }

    /// Files whose word counts as not known, each once, in the order of reading.
    public private(set) var unknown: [Unknown] = []
    /// What everyone must be told: where a fallback was taken, and why.
    public private(set) var warnings: [String] = []

    /// Nothing found yet.
    public init() {}

    /// What `unknown` says, in a sentence for each kind of file: a machine has hundreds that differ in a number only.
    public var sentences: [String] {
        var kinds: [String] = []
        var first: [String: (reason: String, count: Int)] = [:]
        for finding in unknown {
            let kind = Self.kind(finding.file)
            if first[kind] == nil { kinds.append(kind) }
            first[kind, default: (finding.reason, 0)].count += 1
        }
        return kinds.compactMap { first[$0] }.map { reason, count in
            let others = count > 1 ? ", and so do \(count - 1) more of its kind" : ""
            return "\(reason); it counts as not known\(others)"
        }
    }

    /// Whether a file was found unusable whose path ends like that.
    public func leavesUnknown(_ ending: String) -> Bool { unknown.contains { $0.file.hasSuffix(ending) } }

    /// The path with every number replaced.
    private static func kind(_ file: String) -> String {
        file.split(omittingEmptySubsequences: false) { $0.isASCII && $0.isNumber }
            .filter { !$0.isEmpty }.joined(separator: "#")
    }

    // MARK: Collecting

    /// Says that a file's word is not known.
    mutating func add(_ file: String, _ reason: String) {
        if !unknown.contains(where: { $0.file == file }) { unknown.append(Unknown(file: file, reason: reason)) }
    }

    /// Says something to everyone.
    mutating func warn(_ text: String) {
        if !warnings.contains(text) { warnings.append(text) }
    }

    /// What `read` gives; nil, which is kept in mind, where it throws.
    mutating func attempt<Value>(_ file: String, _ read: () throws -> Value?) -> Value? {
        do {
            return try read()
        } catch {
            add(file, "\(error)")
            return nil
        }
    }

    // MARK: Reading. A file that does not exist is nil without a word: kernels differ in what they show.

    mutating func text(_ path: String) -> String? { attempt(path) { try SystemFile.text(path) } }

    mutating func line(_ path: String) -> String? { attempt(path) { try SystemFile.line(path) } }

    mutating func choice(_ path: String) -> String? { attempt(path) { try SystemFile.choice(path) } }

    mutating func list(_ path: String, below limit: Int) -> [Int]? {
        attempt(path) { try SystemFile.list(path, below: limit) }
    }

    /// A whole number of one line that lies in a range.
    mutating func integer(_ path: String, in range: ClosedRange<Int>) -> Int? {
        attempt(path) {
            guard let value = try SystemFile.integer(path) else { return nil }
            guard range.contains(value) else {
                throw HardwareError(
                    .file, "\(path): expected a number in \(range.lowerBound)...\(range.upperBound), found \(value)")
            }
            return value
        }
    }
}
