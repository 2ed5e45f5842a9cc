/// A message that is being typed: its text, the cursor, and what was typed before. It knows nothing of any terminal.
package struct LineEditor {
    /// What is to happen after a key.
    package enum Outcome: Equatable, Sendable {
        /// The text or the cursor may be another.
        case edited
        /// The message is finished.
        case message(String)
        /// Ctrl-D where nothing has been typed.
        case end
        /// Ctrl-C where nothing has been typed.
        case interrupted
        /// Ctrl-C where something had been: it is gone.
        case dropped
        /// Ctrl-L.
        case clearScreen
        /// Ctrl-Z.
        case suspend
    }

    /// The text, character by character.
    package private(set) var characters: [Character] = []
    /// Characters before the cursor.
    package private(set) var cursor = 0
    /// Messages of this session, the newest last.
    package private(set) var history: [String] = []
    /// The place in the history that is shown; `history.count` for what is being typed.
    private var place = 0
    /// What was being typed when the history was entered.
    private var unfinished = ""
    /// What was cut last: by one key, or by several one after the other.
    private var cut: [Character] = []
    /// Whether the key before cut something.
    private var wasCutting = false
    private var isCutting = false
    /// Ctrl-R, while it is being used.
    private var search: HistorySearch?
    /// What was searched for last.
    private var lastQuery = ""

    private var byteCount = 0
    private let byteLimit: Int
    private static let mostHistory = 1000

    /// - Parameter byteLimit: UTF-8 bytes that a message may have; what would exceed them is not inserted.
    package init(byteLimit: Int) { self.byteLimit = byteLimit }

    /// The text.
    package var text: String { String(characters) }

    /// Whether the history is being searched.
    package var isSearching: Bool { search != nil }

    /// What is being searched for, to be shown before the text; empty outside of a search.
    package var label: String { search?.label ?? "" }

    /// Does what a key asks for.
    package mutating func apply(_ key: Key) -> Outcome {
        (wasCutting, isCutting) = (isCutting, false)
        if search != nil, seek(key) { return .edited }
        switch key {
        case .text(let text): insert(text)
        case .newline: insert("\n")
        case .enter: return enter()
        case .backspace: remove(max(0, cursor - 1)..<cursor)
        case .delete: remove(cursor..<min(cursor + 1, characters.count))
        case .left: cursor = max(0, cursor - 1)
        case .right: cursor = min(characters.count, cursor + 1)
        case .home: cursor = lineStart
        case .end: cursor = lineEnd
        case .up: moveUp()
        case .down: moveDown()
        case .wordLeft: cursor = wordStart
        case .wordRight: cursor = wordEnd
        case .deleteWordBack: kill(wordStart..<cursor, isBackward: true)
        case .deleteWordForward: kill(cursor..<wordEnd)
        case .escape: break
        case .control(let letter): return control(letter)
        }
        return .edited
    }

    private mutating func control(_ letter: Character) -> Outcome {
        switch letter {
        case "a": cursor = lineStart
        case "e": cursor = lineEnd
        case "b": return apply(.left)
        case "f": return apply(.right)
        case "p": recall(place - 1)
        case "n": recall(place + 1)
        // At the end of a line its end is what is cut.
        case "k": kill(cursor..<(cursor == lineEnd ? min(cursor + 1, characters.count) : lineEnd))
        case "u": kill(lineStart..<cursor, isBackward: true)
        case "w": kill(blankWordStart..<cursor, isBackward: true)
        case "y": insert(String(cut))
        case "r": beginSearch()
        case "l": return .clearScreen
        case "z": return .suspend
        case "d":
            if characters.isEmpty { return .end }
            return apply(.delete)
        case "c":
            if characters.isEmpty { return .interrupted }
            replace(with: "")
            place = history.count
            return .dropped
        default: break
        }
        return .edited
    }

    // MARK: The text

    private mutating func insert(_ text: String) {
        let count = text.utf8.count
        guard byteCount + count <= byteLimit else { return }
        put(text, in: cursor..<cursor)
    }

    private mutating func remove(_ range: Range<Int>) {
        if !range.isEmpty { put("", in: range) }
    }

    /// Replaces characters; the cursor goes behind the new ones. They may be one character with what is before or behind
    /// them: an accent, the second half of a flag.
    private mutating func put(_ text: String, in range: Range<Int>) {
        // ASCII before and behind bounds what may change: pairs of flags change as far as they go.
        let low = characters[..<range.lowerBound].lastIndex(where: \.isASCII) ?? 0
        let high = characters[range.upperBound...].firstIndex(where: \.isASCII).map { $0 + 1 } ?? characters.count
        byteCount += text.utf8.count - characters[range].reduce(0) { $0 + $1.utf8.count }
        let before = String(characters[low..<range.lowerBound]) + text
        let merged = Array(before + String(characters[range.upperBound..<high]))
        characters.replaceSubrange(low..<high, with: merged)
        cursor = low + min(before.count, merged.count)
    }

    private mutating func kill(_ range: Range<Int>, isBackward: Bool = false) {
        isCutting = true
        guard !range.isEmpty else { return }
        let piece = Array(characters[range])
        cut = !wasCutting ? piece : isBackward ? piece + cut : cut + piece
        remove(range)
    }

    private mutating func replace(with text: String) {
        characters = Array(text)
        byteCount = text.utf8.count
        cursor = characters.count
    }

    /// A backslash at the end asks for another line.
    private mutating func enter() -> Outcome {
        if characters.last == "\\" {
            characters[characters.count - 1] = "\n"
            cursor = characters.count
            return .edited
        }
        let message = text
        if !message.allSatisfy(\.isWhitespace) && message != history.last { history.append(message) }
        history.removeFirst(max(0, history.count - Self.mostHistory))
        place = history.count
        unfinished = ""
        replace(with: "")
        return .message(message)
    }

    // MARK: Places

    private var lineStart: Int { (characters[..<cursor].lastIndex(of: "\n") ?? -1) + 1 }

    private var lineEnd: Int { characters[cursor...].firstIndex(of: "\n") ?? characters.count }

    private static func isInWord(_ character: Character) -> Bool { character.isLetter || character.isNumber }

    private var wordStart: Int {
        let end = (characters[..<cursor].lastIndex(where: Self.isInWord) ?? -1) + 1
        return (characters[..<end].lastIndex { !Self.isInWord($0) } ?? -1) + 1
    }

    private var wordEnd: Int {
        let start = characters[cursor...].firstIndex(where: Self.isInWord) ?? characters.count
        return characters[start...].firstIndex { !Self.isInWord($0) } ?? characters.count
    }

    /// The start of what has no blank in it, as Ctrl-W has it.
    private var blankWordStart: Int {
        let end = (characters[..<cursor].lastIndex { !$0.isWhitespace } ?? -1) + 1
        return (characters[..<end].lastIndex(where: \.isWhitespace) ?? -1) + 1
    }

    // MARK: Search

    private mutating func beginSearch() {
        search = HistorySearch(
            place: history.count, text: text, cursor: cursor, unfinished: place == history.count ? text : unfinished)
    }

    /// Whether the key was one of the search; another ends it first, with what was found.
    private mutating func seek(_ key: Key) -> Bool {
        guard var search else { return false }
        switch key {
        case .text(let text): search.add(text, history)
        case .backspace: search.removeLast(history)
        case .control("r"):
            if search.query.isEmpty { search.add(lastQuery, history) } else { search.goOn(history, by: -1) }
        case .control("s"): search.goOn(history, by: 1)
        case .control("l"), .control("z"): return false
        case .control("g"), .control("c"):
            replace(with: search.text)
            cursor = search.cursor
            (self.search, lastQuery) = (nil, search.query)
            return true
        default:
            (self.search, lastQuery) = (nil, search.query)
            if search.place < history.count { (place, unfinished) = (search.place, search.unfinished) }
            return key == .escape
        }
        self.search = search
        if let found = search.found(history) {
            replace(with: found.text)
            cursor = min(found.cursor, characters.count)
        } else if search.query.isEmpty {
            replace(with: search.text)
            cursor = search.cursor
        }
        return true
    }

    // MARK: Lines and history

    private mutating func moveUp() {
        let start = lineStart
        guard start > 0 else { return recall(place - 1) }
        let above = (characters[..<(start - 1)].lastIndex(of: "\n") ?? -1) + 1
        cursor = min(above + (cursor - start), start - 1)
    }

    private mutating func moveDown() {
        let end = lineEnd
        guard end < characters.count else { return recall(place + 1) }
        let below = characters[(end + 1)...].firstIndex(of: "\n") ?? characters.count
        cursor = min(end + 1 + (cursor - lineStart), below)
    }

    private mutating func recall(_ wanted: Int) {
        guard (0...history.count).contains(wanted), wanted != place else { return }
        if place == history.count { unfinished = text }
        place = wanted
        replace(with: wanted == history.count ? unfinished : history[wanted])
    }
}
