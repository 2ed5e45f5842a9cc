/// A search through earlier messages, backwards at first, that goes on with each letter. Case does not count.
struct HistorySearch {
    /// What is searched for.
    private(set) var query = ""
    /// The message that was found; the number of messages while none has been.
    private(set) var place: Int
    /// Whether there is no further one.
    private var hasFailed = false
    /// What was there before, and where the cursor was.
    let text: String
    let cursor: Int
    /// What was being typed.
    let unfinished: String

    /// - Parameter place: one behind the newest message.
    init(place: Int, text: String, cursor: Int, unfinished: String) {
        (self.place, self.text, self.cursor, self.unfinished) = (place, text, cursor, unfinished)
    }

    /// What is shown before the message.
    var label: String {
        let shown = String(query.map { $0.isNewline ? " " : $0 })
        return hasFailed ? "(not found: \(shown)) " : "(search: \(shown)) "
    }

    /// Looks for more letters, from the message that was found on.
    mutating func add(_ letters: String, _ history: [String]) {
        guard !letters.isEmpty else { return }
        query += letters
        if place < history.count && Self.offset(of: query, in: history[place]) != nil { return }
        move(history, from: place, by: -1)
    }

    /// Looks for one letter less, from the newest message on.
    mutating func removeLast(_ history: [String]) {
        if !query.isEmpty { query.removeLast() }
        (place, hasFailed) = (history.count, false)
        if !query.isEmpty { move(history, from: history.count, by: -1) }
    }

    /// Looks for another message that has it.
    /// - Parameter step: -1 for an older one, 1 for a newer one.
    mutating func goOn(_ history: [String], by step: Int) {
        if !query.isEmpty { move(history, from: place, by: step) }
    }

    /// The message that was found, and where it has what was searched for.
    func found(_ history: [String]) -> (text: String, cursor: Int)? {
        guard place < history.count, let cursor = Self.offset(of: query, in: history[place]) else { return nil }
        return (history[place], cursor)
    }

    private mutating func move(_ history: [String], from start: Int, by step: Int) {
        let shown = start < history.count ? history[start] : nil
        var next = start + step
        while history.indices.contains(next) {
            if history[next] != shown, Self.offset(of: query, in: history[next]) != nil {
                (place, hasFailed) = (next, false)
                return
            }
            next += step
        }
        hasFailed = true
    }

    /// Characters before the first place that has it.
    private static func offset(of query: String, in text: String) -> Int? {
        let text = text.lowercased()
        return text.firstRange(of: query.lowercased()).map { text.distance(from: text.startIndex, to: $0.lowerBound) }
    }
}
