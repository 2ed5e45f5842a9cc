import ArgumentParser
import ForetokenText

/// A command whose model several hosts may share.
protocol HostedCommand: ParsableCommand {
    var model: ModelOptions { get }

    /// What a host opens that follows another: the same model as the command's.
    func openPart() throws -> OpenModel
}

extension HostedCommand {
    /// The model that the flags name.
    func openPart() throws -> OpenModel { try OpenModel(model) }
}

extension Generate: HostedCommand {}
extension Chat: HostedCommand {}
extension Serve: HostedCommand {}
extension Score: HostedCommand {}
extension Measure: HostedCommand {}
extension Prove: HostedCommand {}

extension Bench: HostedCommand {
    /// Shapes are made on every host.
    func openPart() throws -> OpenModel { try open().model }
}
