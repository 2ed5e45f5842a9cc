import ForetokenHardware
import ForetokenModel
import ForetokenPlacement
import ForetokenSpeculation
import ForetokenWeights
import FoundationEssentials

/// What `--draft auto` learns, from one run to the next: a small file for each model, machine and way to run it. Drafting
/// can do without, so nothing about it is a reason to fail.
package final class DraftMemory {
    private static let prefix = "drafts-"
    private static let byteLimit = 1 << 16
    private static let mostFiles = 64

    /// What the file holds.
    private struct Kept: Codable {
        /// What the numbers are of.
        var key: String
        var knowledge: DraftKnowledge
    }

    /// What a file of any version has.
    private struct Version: Decodable {
        struct Knowledge: Decodable { let version: Int }
        let knowledge: Knowledge
    }

    private struct Unusable: Error { let reason: String }

    private let folder: CacheFolder
    private let experience: DraftExperience
    private let key: String
    private let cpus: [Int]
    private var wasDisturbed = false

    /// Lets drafting begin with what earlier runs of that model learnt.
    ///
    /// - Parameters:
    ///   - model: of `open`, with its workers.
    ///   - experience: of whoever is to draft; nothing has been drafted yet.
    /// - Throws: `CheckpointError` for a checkpoint that cannot be read.
    package convenience init(
        _ open: OpenModel, _ model: Model, _ experience: DraftExperience, in folder: CacheFolder
    ) throws {
        let topology = Topology.read()
        self.init(
            key: try Self.key(open, model, topology), cpus: topology.workerCPUs, experience, in: folder,
            tell: open.tell)
    }

    /// - Parameters:
    ///   - key: tells apart what must not be mixed.
    ///   - cpus: those that others may disturb.
    ///   - tell: is given what is wrong with what was kept.
    package init(
        key: String, cpus: [Int], _ experience: DraftExperience, in folder: CacheFolder, tell: (Notice) -> Void
    ) {
        self.key = key
        self.cpus = cpus
        self.experience = experience
        self.folder = folder
        do {
            if let knowledge = try read() { experience.recall(knowledge) }
        } catch {
            let reason = (error as? Unusable)?.reason ?? (error is DecodingError ? "it is damaged" : "\(error)")
            tell(.note("ignoring \(folder.path(of: name)): \(reason); drafting learns anew"))
        }
    }

    /// Does what drafting learns from, and keeps what it learnt, unless others kept the CPUs busy in this run.
    package func during<Result>(_ work: () throws -> Result) rethrows -> Result {
        let start = MachineLoad.read(cpus: cpus)
        defer {
            let load = Interference(from: start, to: .read(cpus: cpus), cpus: max(1, cpus.count))
            wasDisturbed = wasDisturbed || load.isDisturbing
            if !wasDisturbed { keep() }
        }
        return try work()
    }

    /// Keeps what was learnt, if that is enough and there is a place for it.
    package func keep() {
        guard let knowledge = experience.knowledge, knowledge.fault == nil,
            let json = try? JSONEncoder().encode(Kept(key: key, knowledge: knowledge))
        else { return }
        // A home that cannot be written to is no fault: drafting learns anew each time.
        try? folder.write(Array(json), to: name)
        folder.keepNewest(Self.mostFiles, prefix: Self.prefix)
    }

    // MARK: Files

    private var name: String {
        var hash = FNV1a()
        hash.add(key)
        return Self.prefix + hash.digits + ".json"
    }

    private func read() throws -> DraftKnowledge? {
        guard let bytes = try folder.read(name, limit: Self.byteLimit) else { return nil }
        let decoder = JSONDecoder()
        let version = try decoder.decode(Version.self, from: Data(bytes)).knowledge.version
        guard version == DraftKnowledge.currentVersion else {
            throw Unusable(reason: "it has version \(version), not \(DraftKnowledge.currentVersion)")
        }
        let kept = try decoder.decode(Kept.self, from: Data(bytes))
        guard kept.key == key else { throw Unusable(reason: "it is of another model, machine or setting") }
        if let fault = kept.knowledge.fault { throw Unusable(reason: fault) }
        return kept.knowledge
    }

    // MARK: What the numbers are of

    private static func key(_ open: OpenModel, _ model: Model, _ topology: Topology) throws -> String {
        let settings = open.settings
        let plan = settings.plan.map { plan in
            var hash = FNV1a()
            plan.bytes.withUnsafeBytes { hash.add($0) }
            return hash.digits
        }
        return [
            "model \(try open.fingerprint())", "machine \(topology.fingerprint)", "CPU \(CPUInfo.read().model)",
            "threads \(model.pool.workerCount)", "kernels \(model.instructionSet)",
            "weights \(settings.weights.rawValue)", "cache \(settings.cacheType.rawValue)", "plan \(plan ?? "none")",
        ].joined(separator: ", ") + (model.weights.host.isPart ? ", hosts \(model.weights.host.spelling)" : "")
    }
}
