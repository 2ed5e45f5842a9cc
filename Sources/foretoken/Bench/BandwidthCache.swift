import ForetokenHardware
import ForetokenText
import FoundationEssentials
import Glibc

/// Measured bandwidths of this machine's nodes, kept from one run to the next: one file for each fingerprint.
package struct BandwidthCache {
    private let folder: CacheFolder

    /// Where the user's programs keep such files, if anywhere.
    static var standard: BandwidthCache? { CacheFolder.standard.map { BandwidthCache(folder: $0) } }

    /// What was measured on a machine and kept there, where its nodes make a difference.
    static func measured(_ topology: Topology) -> NumaBandwidth? {
        topology.nodes.count > 1 ? standard?.read(for: topology) : nil
    }

    private func name(_ fingerprint: String) -> String { "numa-\(fingerprint).json" }

    /// What was measured on the machine; nil when there is nothing, or, with a note, when it cannot be used.
    package func read(for topology: Topology) -> NumaBandwidth? {
        let path = folder.path(of: name(topology.fingerprint))
        guard access(path, F_OK) == 0 else { return nil }
        do {
            let bytes = try InputFile.bytes(path, for: .measurement)
            let kept = try JSONDecoder().decode(NumaBandwidth.self, from: Data(bytes))
            if let fault = fault(of: kept, topology) { throw InputError(fault) }
            return kept
        } catch {
            let reason = error is DecodingError ? "it is damaged" : "\(error)"
            Console.note("ignoring \(path): \(reason); bench --numa --fresh measures anew")
            return nil
        }
    }

    private func fault(of kept: NumaBandwidth, _ topology: Topology) -> String? {
        if let fault = kept.fault { return fault }
        if kept.fingerprint != topology.fingerprint {
            return "it is of machine \(kept.fingerprint), but this is \(topology.fingerprint)"
        }
        if kept.memory.contains(where: { $0.placement != .bound }) && Self.canBind(topology) {
            return "it was measured where memory could not be bound, and here it can"
        }
        if kept.measuredAt == nil { return "it does not say when it was measured" }
        let isSame = kept.cpuNodes == topology.cpuNodes.map(\.id) && kept.memory.map(\.id) == topology.nodes.map(\.id)
        return isSame ? nil : "its nodes are not those of this machine"
    }

    private static func canBind(_ topology: Topology) -> Bool {
        (try? PolicyPermissions.probe())?.bind.isAllowed ?? false
    }

    /// Keeps a measurement. Not being able to is no reason to fail: it is said, and the next run measures again.
    package func write(_ bandwidth: NumaBandwidth) {
        do {
            try folder.write(JSONOutput.line(bandwidth), to: name(bandwidth.fingerprint))
        } catch {
            Console.warning("the measurement could not be kept: \(error)")
        }
    }
}
