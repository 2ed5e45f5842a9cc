import ForetokenHardware
import ForetokenModel

/// Drafts, verifies in one step, accepts: for one text or for several.
package final class Round {
    private let verifier: Verifier
    private let experience: DraftExperience
    /// What drafts come from; nil where nothing can draft.
    package var source: (any DraftSource)?
    private var step = Step()
    private var drafting: [Answer] = []
    private var goingOn: [Answer] = []
    private var drafts: [Draft] = []

    package init(_ model: Model, _ experience: DraftExperience, source: (any DraftSource)?) {
        verifier = model.verifier
        self.experience = experience
        self.source = source
        drafting.reserveCapacity(Step.windowRows)
        goingOn.reserveCapacity(Step.windowRows)
        drafts.reserveCapacity(Step.windowRows)
    }

    /// One round of texts (1...16) whose newest tokens the verifier has not seen.
    package func run(_ answers: [Answer]) {
        var times = RoundTimes()
        let rows = draft(answers, &times)
        let drafted = MonotonicClock.now
        step.clear()
        for answer in answers { step.add(answer.sequence, count: 1 + answer.drafted) }
        verifier.run(step)
        verifier.computeLogits(first: 0, count: rows) { self.draw(answers, row: $0) }
        times.verifying = MonotonicClock.now - drafted
        if answers.contains(where: { $0.policy.learns }) && answers.allSatisfy({ $0.policy.isAwake }) {
            experience.record(rows: rows, texts: answers.count, times)
        }
        for (answer, span) in zip(answers, step.spans) {
            finish(answer, row: span.firstRow, newest: span.position, texts: answers.count)
        }
        // Nobody is kept beyond the round.
        step.clear()
        goingOn.removeAll(keepingCapacity: true)
    }

    /// How the token behind a row of the step is drawn.
    private func draw(_ answers: [Answer], row: Int) -> Draw {
        var text = step.spans.count - 1
        while step.spans[text].firstRow > row { text -= 1 }
        let span = step.spans[text]
        return answers[text].sampler.draw(position: span.position + row - span.firstRow + 1)
    }

    private func finish(_ answer: Answer, row: Int, newest: Int, texts: Int) {
        let length = answer.drafted
        let dropped = answer.policy.made > length ? answer.sequence.tokens[newest + 1 + length] : nil
        let (accepted, emitted) = answer.accept(verifier, row: row)
        if answer.policy.mayDraft { source?.take(answer, row: row, count: emitted, firstPosition: newest) }
        verifier.observer?.ended(.verified(accepted: accepted), text: answer.sequence.number)
        let droppedHeld =
            accepted == length && emitted > length
            ? dropped.map { $0 == answer.sequence.tokens[newest + 1 + length] } : nil
        answer.policy.record(drafted: length, accepted: accepted, emitted: emitted, droppedHeld: droppedHeld)
        answer.count(rows: 1 + length, texts: texts)
    }

    // MARK: Drafts

    /// Writes drafts behind the newest tokens, as many as the policies find worth verifying: one for each text that drafts,
    /// then another for those that go on.
    /// - Returns: rows of the step.
    private func draft(_ answers: [Answer], _ times: inout RoundTimes) -> Int {
        var rows = answers.count
        drafting.removeAll(keepingCapacity: true)
        for answer in answers {
            answer.beginDrafts(atMost: Step.windowRows - answers.count, texts: answers.count)
            if answer.draftLimit > 0 && source != nil { drafting.append(answer) }
        }
        Self.keepLikeliest(&drafting, room: Step.windowRows - rows)
        guard let source, !drafting.isEmpty else { return rows }
        let begun = MonotonicClock.now
        var firstDone = begun
        times.draftingTexts = drafting.count
        times.isAfterIdle = drafting.contains { $0.policy.isIdle }
        source.begin(drafting)
        var made = 0
        while !drafting.isEmpty {
            propose(source, made, &rows)
            if made == 0 { firstDone = MonotonicClock.now } else { times.laterDraftCount += drafting.count }
            Self.keepLikeliest(&goingOn, room: Step.windowRows - rows)
            if !goingOn.isEmpty { source.extend(goingOn) }
            swap(&drafting, &goingOn)
            made += 1
        }
        for answer in answers { answer.endDrafts() }
        let done = MonotonicClock.now
        times.drafting = done - begun
        times.laterDrafts = done - firstDone
        return rows
    }

    /// One draft for each of the texts that draft; leaves in `goingOn` those that want another.
    private func propose(_ source: any DraftSource, _ made: Int, _ rows: inout Int) {
        drafts.removeAll(keepingCapacity: true)
        goingOn.removeAll(keepingCapacity: true)
        source.propose(drafting, made: made, into: &drafts)
        for (answer, draft) in zip(drafting, drafts) {
            switch answer.judge(draft, made: made, rows: rows) {
            case .extend:
                rows += 1
                goingOn.append(answer)
            case .finish: rows += 1
            case .drop: break
            }
        }
    }

    /// Leaves out the texts whose drafts are least likely to hold, where there are more of them than rows.
    private static func keepLikeliest(_ answers: inout [Answer], room: Int) {
        while answers.count > room {
            var least = 0
            for i in answers.indices where answers[i].policy.chance <= answers[least].policy.chance { least = i }
            answers.remove(at: least)
        }
    }
}
