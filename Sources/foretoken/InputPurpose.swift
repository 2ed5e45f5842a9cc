import ForetokenPlacement
import ForetokenText

/// What a file is read for. It decides how large the file may be: enough for anything that makes sense, and little enough
/// that a device or a pipe without end is refused before it fills the memory.
enum InputPurpose {
    /// One prompt: far above what the longest context holds.
    case prompt
    /// What an answer is expected to be like.
    case prediction
    /// A text that is scored or measured, window by window.
    case text
    /// Prompts or questions, one a line.
    case lines
    /// A routing trace, in either form.
    case trace
    /// A placement plan.
    case plan
    /// The description of a machine.
    case topology
    /// The description of hosts and of the link between them.
    case hosts
    /// A model's config.json.
    case shape
    /// A measurement that an earlier run kept.
    case measurement
    /// A chat template.
    case chatTemplate
    /// API keys, one a line.
    case keys
    /// The name of a model's revision.
    case revision
    /// A conversation that was saved.
    case conversation

    /// Bytes that such a file may have.
    var byteLimit: Int {
        switch self {
        case .prompt, .prediction, .conversation: 16 << 20
        case .text: 64 << 20
        case .lines: 256 << 20
        case .trace: 1 << 30
        case .plan: PlacementPlanFile.sizeLimit
        case .topology, .hosts: 16 << 20
        case .shape: 4 << 20
        case .measurement: 16 << 20
        case .chatTemplate, .keys, .revision: 1 << 20
        }
    }

    /// Bytes that one of its lines may have; nil where lines mean nothing.
    var lineLimit: Int? {
        switch self {
        case .lines: Self.prompt.byteLimit
        case .prompt, .prediction, .text, .trace, .plan, .topology, .hosts, .shape, .measurement, .chatTemplate, .keys,
            .revision, .conversation:
            nil
        }
    }

    /// Such a file in words, behind "that".
    private var name: String {
        switch self {
        case .prompt: "a prompt"
        case .prediction: "a prediction"
        case .text: "a text"
        case .lines: "a file of prompts"
        case .trace: "a routing trace"
        case .plan: "a plan"
        case .topology: "a description of a machine"
        case .hosts: "a description of hosts"
        case .shape: "a config.json"
        case .measurement: "a measurement"
        case .chatTemplate: "a chat template"
        case .keys: "a file of API keys"
        case .revision: "the name of a revision"
        case .conversation: "a saved conversation"
        }
    }

    /// Why a file that is too large is refused.
    func isTooLarge(_ path: String) -> InputError {
        let source = path == "-" ? "standard input" : path
        return InputError("\(source) is larger than the \(byteLimit >> 20) MiB that \(name) may have")
    }

    /// Why a file with a line that is too long is refused.
    static func lineIsTooLong(_ path: String, number: Int, limit: Int) -> InputError {
        InputError("\(path), line \(number) is longer than the \(limit >> 20) MiB that a line may have")
    }
}
