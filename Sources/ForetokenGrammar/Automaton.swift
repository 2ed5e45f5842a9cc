/// A deterministic automaton over bytes with a stack: tables of a `Net`, made by `Determiniser`.
///
/// Each state belongs to one frame (see `Net`). A byte either moves within the frame, or begins a value, whose frame is put on
/// top, or belongs to the frame below, since the one on top is complete; then the state below changes by which of the values
/// that it waited for (there may be several by `anyOf`) the complete text was.
struct Automaton: Sendable {
    /// Objects and lists inside each other, at most. It bounds the stack, and is a part of the language.
    static let deepest = 64
    /// Blanks and tabs behind a line break, at most.
    static let widestIndent = 80

    /// What a state does with a byte, in the bits above the 16 of the next state.
    enum Move {
        static let refuse: UInt32 = 0
        static let go: UInt32 = 1 << 16
        /// The next state is of a value that begins; the present one goes on the stack.
        static let enter: UInt32 = 2 << 16
        /// White space, which only the bound on it can refuse.
        static let space: UInt32 = 3 << 16
    }

    /// No outcome: the frame is not complete.
    static let none = UInt16.max

    /// Bytes of one class are alike everywhere.
    var classes = [UInt8](repeating: 0, count: 256)
    var classCount = 1
    /// By state and class.
    var moves: [UInt32] = []
    /// By state: which of the values it waits for the frame's text is, if the frame may end here.
    var outcomes: [UInt16] = []
    /// By state: how many levels the text below and in this frame needs at least to end from here, the frame's own included.
    var reaches: [UInt8] = []
    /// By state that calls values: where its row of `returns` begins.
    var returnRows: [UInt32] = []
    /// By calling state and outcome: the state behind the value.
    var returns: [UInt16] = []
    /// By schema: the state in which a text of it begins.
    var starts: [UInt16] = []
    /// The largest of `reaches`.
    var widestReach = 0

    var stateCount: Int { outcomes.count }

    var byteCount: Int {
        classes.count + moves.count * 4 + (outcomes.count + returns.count + starts.count) * 2 + reaches.count
            + returnRows.count * 4
    }

    /// States in which more than half of the printable ASCII characters may follow, in the order in which they are reached.
    var wideStates: [UInt16] {
        (0..<stateCount).filter { state in
            (0x20..<0x7F).count { moves[state * classCount + Int(classes[$0])] & 0xFFFF_0000 == Move.go } > 48
        }.map(UInt16.init)
    }

    /// The tables as pointers, for the inner loops.
    func withTables<Result>(_ body: (Tables) -> Result) -> Result {
        classes.withUnsafeBufferPointer { classes in
            moves.withUnsafeBufferPointer { moves in
                outcomes.withUnsafeBufferPointer { outcomes in
                    reaches.withUnsafeBufferPointer { reaches in
                        returnRows.withUnsafeBufferPointer { returnRows in
                            returns.withUnsafeBufferPointer { returns in
                                body(
                                    Tables(
                                        classes: classes, classCount: classCount, moves: moves, outcomes: outcomes,
                                        reaches: reaches, returnRows: returnRows, returns: returns))
                            }
                        }
                    }
                }
            }
        }
    }

    /// The tables as pointers that hold within `withTables`.
    struct Tables {
        let classes: UnsafeBufferPointer<UInt8>
        let classCount: Int
        let moves: UnsafeBufferPointer<UInt32>
        let outcomes: UnsafeBufferPointer<UInt16>
        let reaches: UnsafeBufferPointer<UInt8>
        let returnRows: UnsafeBufferPointer<UInt32>
        let returns: UnsafeBufferPointer<UInt16>

        /// The state behind a value that turned out as `outcome`, for the state that called it.
        @inline(__always) func stateBehind(_ caller: UInt16, _ outcome: UInt16) -> UInt16 {
            returns[Int(returnRows[Int(caller)]) + Int(outcome)]
        }

        /// Takes one byte.
        /// - Parameters:
        ///   - place: changed only in part where the byte is refused.
        ///   - stack: calling states, the bottom first; `place.height` of them are there, and there is room for one more.
        ///   - deepest: the bound on the levels.
        @inline(__always) func step(
            _ byte: UInt8, _ place: inout Place, _ stack: UnsafeMutablePointer<UInt16>, deepest: Int
        ) -> Step {
            let column = Int(classes[Int(byte)])
            while true {
                let move = moves[Int(place.state) * classCount + column]
                switch move & 0xFFFF_0000 {
                case Move.go: place.state = UInt16(truncatingIfNeeded: move)
                case Move.enter:
                    guard Int(place.height) < deepest else { return .refused }
                    stack[Int(place.height)] = place.state
                    place.height += 1
                    place.state = UInt16(truncatingIfNeeded: move)
                case Move.space: return place.takeSpace(byte) ? .taken : .refused
                default:
                    let outcome = outcomes[Int(place.state)]
                    guard outcome != Automaton.none else { return .refused }
                    guard place.height > 0 else { return .below(outcome) }
                    place.height -= 1
                    place.state = stateBehind(stack[Int(place.height)], outcome)
                    continue
                }
                place.blanks = 0
                return Int(place.height) + Int(reaches[Int(place.state)]) <= deepest ? .taken : .refused
            }
        }
    }

    enum Step: Equatable {
        case taken, refused
        /// The byte comes behind the lowest frame, which has ended with that outcome.
        case below(UInt16)
    }

    /// Where a text stands, but for the stack.
    struct Place: Equatable, Sendable {
        var state: UInt16
        /// White space since the last mark: 0 none, 1 a blank, 2 + n a line break and n blanks or tabs.
        var blanks: UInt8 = 0
        /// How many states are on the stack.
        var height: UInt16 = 0

        @inline(__always) mutating func takeSpace(_ byte: UInt8) -> Bool {
            switch (byte, blanks) {
            case (UInt8(ascii: " "), 0): blanks = 1
            case (UInt8(ascii: "\n"), 0): blanks = 2
            case (UInt8(ascii: " "), 2..<UInt8(Automaton.widestIndent + 2)),
                (UInt8(ascii: "\t"), 2..<UInt8(Automaton.widestIndent + 2)):
                blanks += 1
            default: return false
            }
            return true
        }
    }
}
