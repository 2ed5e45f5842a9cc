import ForetokenModel

/// What has followed in the text before as a source. It costs next to nothing, and needs no rows.
package final class LookupDrafts: DraftSource {
    package init() {}

    package func begin(_ sessions: [Session]) {}

    package func propose(_ sessions: [Session], made: Int, into drafts: inout [Draft]) {
        for session in sessions { drafts.append(Draft(token: session.found!.token, lead: 0, origin: .lookup)) }
    }

    package func extend(_ sessions: [Session]) {}

    package func take(_ session: Session, row: Int, count: Int, firstPosition: Int) {}
}

extension Round {
    /// What a model's drafts come from.
    /// - Parameter drafting: whether its modules may be used.
    package static func source(_ model: Model, drafting: Bool) -> any DraftSource {
        guard drafting, let head = model.draftHead else { return LookupDrafts() }
        return JoinedDrafts(MTPDrafts(head, model.verifier))
    }
}

/// Two sources as one: the modules' drafts for texts whose policy wants them, then what look-up finds behind those. The
/// modules are not run for texts that only look up; their rows wait.
package final class JoinedDrafts: DraftSource {
    private let modules: any DraftSource
    private let lookup = LookupDrafts()
    /// The texts of a call by where their next draft comes from, and the modules' drafts; empty between calls.
    private var modular: [Session] = []
    private var lookedUp: [Session] = []
    private var made: [Draft] = []
    private var found: [Draft] = []

    package init(_ modules: any DraftSource) {
        self.modules = modules
        modular.reserveCapacity(Step.windowRows)
        lookedUp.reserveCapacity(Step.windowRows)
        made.reserveCapacity(Step.windowRows)
        found.reserveCapacity(Step.windowRows)
    }

    /// Divides the texts by where their next draft comes from.
    private func dividing(_ sessions: [Session], _ body: () -> Void) {
        for session in sessions {
            if session.policy.origin == .lookup { lookedUp.append(session) } else { modular.append(session) }
        }
        body()
        modular.removeAll(keepingCapacity: true)
        lookedUp.removeAll(keepingCapacity: true)
    }

    package func begin(_ sessions: [Session]) {
        dividing(sessions) { if !modular.isEmpty { modules.begin(modular) } }
    }

    package func propose(_ sessions: [Session], made count: Int, into drafts: inout [Draft]) {
        dividing(sessions) {
            made.removeAll(keepingCapacity: true)
            found.removeAll(keepingCapacity: true)
            if !modular.isEmpty { modules.propose(modular, made: count, into: &made) }
            lookup.propose(lookedUp, made: count, into: &found)
        }
        var (nextMade, nextFound) = (0, 0)
        for session in sessions {
            if session.policy.origin == .lookup {
                drafts.append(found[nextFound])
                nextFound += 1
            } else {
                drafts.append(made[nextMade])
                nextMade += 1
            }
        }
    }

    package func extend(_ sessions: [Session]) {
        dividing(sessions) { if !modular.isEmpty { modules.extend(modular) } }
    }

    package func take(_ session: Session, row: Int, count: Int, firstPosition: Int) {
        guard session.policy.keepsRows else { return }
        modules.take(session, row: row, count: count, firstPosition: firstPosition)
    }
}
