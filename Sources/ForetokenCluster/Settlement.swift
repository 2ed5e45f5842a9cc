/// How a phase of the start ended on one host.
package struct PhaseReport: Equatable {
    /// How it ended.
    package enum End: Equatable {
        /// Well.
        case done
        /// With an error of its own.
        case failed(HostFault)
        /// It gave up because another one had failed.
        case stopped
    }

    /// Which phase it was.
    package let phase: String
    /// How it ended.
    package let end: End

    /// What went wrong.
    var fault: HostFault? {
        if case .failed(let fault) = end { fault } else { nil }
    }

    // MARK: As bytes

    /// For other hosts.
    package var bytes: [UInt8] {
        switch end {
        case .done: TextList.encode([phase, "done"])
        case .stopped: TextList.encode([phase, "stopped"])
        case .failed(let fault): TextList.encode([phase, "failed", "\(fault.code)", fault.message])
        }
    }

    /// Both.
    package init(phase: String, end: End) {
        self.phase = phase
        self.end = end
    }

    /// nil for anything that `bytes` does not make.
    package init?(bytes: [UInt8]) {
        guard let texts = TextList.decode(bytes), texts.count >= 2 else { return nil }
        phase = texts[0]
        switch (texts[1], texts.count) {
        case ("done", 2): end = .done
        case ("stopped", 2): end = .stopped
        case ("failed", 4):
            guard let code = Int32(texts[2]) else { return nil }
            end = .failed(HostFault(code: code, message: texts[3]))
        default: return nil
        }
    }
}

/// What a phase's end means for all.
package enum Settlement {
    /// The lowest failing rank's fault, its message with rank and host in front unless all hosts say the same; nil where
    /// all are done.
    /// - Parameters:
    ///   - reports: by rank.
    ///   - hosts: by rank.
    package static func fault(_ reports: [PhaseReport], hosts: [HostName]) -> HostFault? {
        for (rank, report) in reports.enumerated() where report.phase != reports[0].phase {
            return HostFault(
                code: ClusterError.otherCode,
                message: "\(hosts[rank].label) has come to the end of \(report.phase), \(hosts[0].label) to that of "
                    + "\(reports[0].phase). Hint: run the same program on all hosts.")
        }
        let faults = reports.map(\.fault)
        if let rank = faults.firstIndex(where: { $0 != nil }), let fault = faults[rank] {
            let isCommon = faults.allSatisfy { $0 == fault }
            return isCommon ? fault : HostFault(code: fault.code, message: "\(hosts[rank].label): \(fault.message)")
        }
        guard let rank = reports.firstIndex(where: { $0.end == .stopped }) else { return nil }
        return HostFault(
            code: ClusterError.otherCode,
            message: "\(hosts[rank].label): stopped for another host, but none has failed")
    }
}
