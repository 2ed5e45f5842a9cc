/// How far a request is that has no token yet.
package enum Headway: Sendable, Equatable {
    /// So many texts wait before its own.
    case queued(before: Int)
    /// So many tokens of a prompt are in place, those among them that were found cached.
    case prompt(done: Int, of: Int, cached: Int)

    /// Whether it tells more than what was told last. The line only moves forward, and ends where reading begins, though
    /// news of it may be late.
    package func isNews(after last: Headway?) -> Bool {
        switch (self, last) {
        case (.queued(let before), .queued(let last)): before < last
        case (.queued, .prompt): false
        default: self != last
        }
    }

    func write(into own: inout JSONWriter) {
        switch self {
        case .queued(let before): own.object("queue") { $0.member("before", before) }
        case .prompt(let done, let total, let cached):
            own.object("prompt") { prompt in
                prompt.member("done", done)
                prompt.member("of", total)
                prompt.member("cached", cached)
            }
        }
    }
}
