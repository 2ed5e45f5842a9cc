import ForetokenHardware
import ForetokenJSON
import ForetokenModel
import ForetokenPlacement
import ForetokenSpeculation
import ForetokenTokenizer
import ForetokenWeights

/// Whose fault an error is.
public enum Fault: Sendable {
    /// What is asked for cannot be, whatever the files hold.
    case settings
    /// Something that was given was found but cannot be used: a file, a prompt, a setting that does not fit the model.
    case input
    /// The machine's, or this program's.
    case system

    /// Whose fault an error of this room or of one below it is; nil for any other error.
    public init?(_ error: any Error) {
        switch error {
        case let error as CheckpointError:
            self =
                switch error.kind {
                case .missingPath: .settings
                case .unusable: .input
                case .system: .system
                }
        case let error as GenerationError: self = error.kind == .system ? .system : .input
        case is SettingsError, is InstructionSetError: self = .settings
        case is InputError, is TokenizerError, is JSONError, is PlacementError, is TopologyFileError: self = .input
        case is HardwareError: self = .system
        default: return nil
        }
    }
}
