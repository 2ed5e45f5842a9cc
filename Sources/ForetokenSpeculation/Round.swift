import ForetokenModel

/// Drafts, verifies in one step, accepts: for one text or for several, by the model or along a record.
package final class Round {
    private let verifier: any RoundVerifier
    private let experience: DraftExperience
    /// What drafts come from; nil where nothing can draft.
    package var source: (any DraftSource)?
    private var step = Step()
    private var drafting: [Session] = []
    private var goingOn: [Session] = []
    private var drafts: [Draft] = []
    /// Which text is asked for drafts first, where there is not room for all.
    private var turn = 0

    package init(_ verifier: any RoundVerifier, _ experience: DraftExperience, source: (any DraftSource)?) {
        self.verifier = verifier
        self.experience = experience
        self.source = source
        drafting.reserveCapacity(Step.windowRows)
        goingOn.reserveCapacity(Step.windowRows)
        drafts.reserveCapacity(Step.windowRows)
    }

    /// One round of sessions (1...16) whose newest tokens the verifier has not seen.
    /// - Returns: what it took.
    @discardableResult
    package func run(_ sessions: [Session]) -> RoundTimes {
        var times = RoundTimes()
        experience.enter(context: sessions.reduce(0) { $0 + $1.sequence.count } / sessions.count)
        let rows = draft(sessions, &times)
        let drafted = verifier.now
        step.clear()
        for session in sessions { step.add(session.sequence, count: 1 + session.drafted) }
        verifier.verify(step, of: sessions)
        let verified = verifier.now
        times.verifying = verified - drafted
        if sessions.contains(where: { $0.policy.learns }) && sessions.allSatisfy({ $0.policy.isAwake }) {
            experience.record(rows: rows, texts: sessions.count, times)
        }
        for (session, span) in zip(sessions, step.spans) {
            finish(session, row: span.firstRow, newest: span.position, texts: sessions.count)
        }
        // Nobody is kept beyond the round.
        step.clear()
        goingOn.removeAll(keepingCapacity: true)
        times.accepting = verifier.now - verified
        return times
    }

    private func finish(_ session: Session, row: Int, newest: Int, texts: Int) {
        // Another text's observer may have cancelled it meanwhile.
        guard session.reason == nil else { return session.sequence.truncate(to: newest) }
        let length = session.drafted
        let dropped = session.policy.made > length ? session.sequence.tokens[newest + 1 + length] : nil
        let (accepted, emitted) = session.accept(verifier, row: row)
        if session.policy.keepsRows { source?.take(session, row: row, count: emitted, firstPosition: newest) }
        verifier.ended(session, accepted: accepted)
        let droppedHeld =
            accepted == length && emitted > length
            ? dropped.map { $0 == session.sequence.tokens[newest + 1 + length] } : nil
        session.policy.record(drafted: length, accepted: accepted, emitted: emitted, droppedHeld: droppedHeld)
        session.count(rows: 1 + length, texts: texts)
    }

    // MARK: Drafts

    /// Writes drafts behind the newest tokens, as many as the policies find worth verifying: one for each text that drafts,
    /// then another for those that go on.
    /// - Returns: rows of the step.
    private func draft(_ sessions: [Session], _ times: inout RoundTimes) -> Int {
        var rows = sessions.count
        drafting.removeAll(keepingCapacity: true)
        for i in sessions.indices {
            let session = sessions[(turn + i) % sessions.count]
            session.beginDrafts(atMost: Step.windowRows - sessions.count, texts: sessions.count)
            if session.draftLimit > 0 && source != nil { drafting.append(session) }
        }
        if drafting.count > Step.windowRows - rows {
            // Nothing is known of drafts that are not made yet: the texts take turns.
            drafting.removeSubrange((Step.windowRows - rows)...)
            turn = (turn + drafting.count) % sessions.count
        }
        guard let source, !drafting.isEmpty else { return rows }
        let begun = verifier.now
        var firstDone = begun
        for session in drafting where session.policy.origin == .module {
            times.draftingTexts += 1
            if session.policy.isIdle { times.isAfterIdle = true }
        }
        source.begin(drafting)
        var made = 0
        while !drafting.isEmpty {
            if made > 0 { times.laterDraftCount += drafting.count { $0.policy.origin == .module } }
            propose(source, made, &rows)
            if made == 0 { firstDone = verifier.now }
            Self.keepLikeliest(&goingOn, room: Step.windowRows - rows)
            if !goingOn.isEmpty { source.extend(goingOn) }
            swap(&drafting, &goingOn)
            made += 1
        }
        for session in sessions { session.endDrafts() }
        let done = verifier.now
        times.drafting = done - begun
        times.laterDrafts = done - firstDone
        return rows
    }

    /// One draft for each of the texts that draft; leaves in `goingOn` those that want another.
    private func propose(_ source: any DraftSource, _ made: Int, _ rows: inout Int) {
        drafts.removeAll(keepingCapacity: true)
        goingOn.removeAll(keepingCapacity: true)
        source.propose(drafting, made: made, into: &drafts)
        for (session, draft) in zip(drafting, drafts) {
            switch session.judge(draft, made: made, rows: rows) {
            case .extend:
                rows += 1
                goingOn.append(session)
            case .finish: rows += 1
            case .drop: break
            }
        }
    }

    /// Leaves out the texts whose drafts are least likely to hold, where there are more of them than rows.
    private static func keepLikeliest(_ sessions: inout [Session], room: Int) {
        while sessions.count > room {
            var least = 0
            for i in sessions.indices where sessions[i].policy.chance <= sessions[least].policy.chance { least = i }
            sessions.remove(at: least)
        }
    }
}
