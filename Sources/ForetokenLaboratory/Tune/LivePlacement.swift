import ForetokenHardware
import ForetokenModel
import ForetokenPlacement
import ForetokenSpeculation
import ForetokenWeights
import Synchronization

/// Keeps the experts of a model that serves where its texts want them: records what the router does, plans now and then
/// on a thread of its own, and moves experts between steps, a few at a time. That never changes a token.
///
/// Belongs to the engine's thread; plans come to it through `made`.
public final class LivePlacement: StepObserver {
    /// How to go about it.
    public struct Settings: Sendable {
        /// Seconds of recording before each plan.
        public var period: Double
        /// Windows without which there is no plan.
        public var leastWindows = 512
        /// Bytes of a recording; a longer one begins anew.
        public var traceBytes = 16 << 20
        /// Bytes of experts after which the texts get their next step.
        public var turnBytes = 64 << 20
        /// By how much a step must become faster, as a share, for experts to be moved.
        public var leastGain = 0.02
        /// Seconds after which the search for plans ends.
        public var planSeconds = 60.0

        /// A plan every `period` seconds.
        public init(period: Double) { self.period = period }
    }

    /// What has happened.
    public enum News: Sendable, Equatable {
        /// There is no plan that is enough faster; by how much the best is, as a share.
        case kept(gain: Double)
        /// Experts are moved to a plan under which a step is faster by a share.
        case moving(policy: String, gain: Double)
        /// All are where the plan wants them.
        case moved(bytes: Int)
        /// There was no plan, or no room to move; why.
        case failed(String)
    }

    private enum Phase {
        case recording(since: Int64)
        case planning
        case moving(PlacementPlan, copied: Int)
    }

    /// A plan with the share that a step becomes faster by, or why there is none.
    private typealias Made = Result<(plan: PlacementPlan, gain: Double), PlacementError>

    /// What becomes of planning, shared with the thread that does it.
    private final class Mailbox: Sendable { let made = Mutex<Made?>(nil) }

    private let experts: ExpertStore
    private let description: PlacementModel
    private let machine: PlacementMachine
    private let header: RoutingTraceHeader
    private let settings: Settings
    private let tell: (News) -> Void
    private let mailbox = Mailbox()
    private var phase: Phase
    private var trace: TraceMemory
    private var recorder: RoutingRecorder

    private static let domain = "served"

    /// - Parameters:
    ///   - description: the model as placements see it.
    ///   - machine: the nodes that it was loaded on, in the same order.
    ///   - header: of traces of this model.
    ///   - tell: told what happens, on the engine's thread.
    public init(
        _ model: Model, description: PlacementModel, machine: PlacementMachine, header: RoutingTraceHeader,
        _ settings: Settings, tell: @escaping (News) -> Void
    ) {
        experts = model.weights.experts
        (self.description, self.machine, self.header) = (description, machine, header)
        (self.settings, self.tell) = (settings, tell)
        phase = .recording(since: MonotonicClock.now)
        trace = TraceMemory(header)
        recorder = RoutingRecorder(header, sink: trace)
    }

    /// Looks on at an engine's steps and moves experts between them.
    public func attach(to engine: Engine) {
        engine.observer = self
        engine.betweenSteps = { [unowned self] in turn() }
    }

    // MARK: Between steps

    /// Does what there is to do while no step is under way.
    private func turn() {
        switch phase {
        case .recording(let since):
            if trace.bytes.count >= settings.traceBytes { record() }
            let isTime = MonotonicClock.now - since >= Int64(settings.period * 1e9)
            if isTime && recorder.windowCount >= settings.leastWindows { plan() }
        case .planning:
            guard let made = mailbox.made.withLock({ $0.take() }) else { return }
            take(made)
        case .moving(let plan, let copied): move(to: plan, copied: copied)
        }
    }

    /// Begins a new recording.
    private func record() {
        trace = TraceMemory(header)
        recorder = RoutingRecorder(header, sink: trace)
    }

    private func rest(_ news: News) {
        tell(news)
        phase = .recording(since: MonotonicClock.now)
    }

    private func plan() {
        recorder.finish()
        let bytes = trace.bytes
        record()
        phase = .planning
        let present = PlacementPlan(
            policy: "present", model: description.fingerprint, machine: machine.fingerprint,
            nodes: machine.nodes.map(\.id), layers: experts.placements)
        do {
            try DetachedThread.start("the planner's thread", isModest: true) {
                [mailbox, description, machine, settings] in
                let made = Self.plan(bytes, description, machine, settings, present)
                mailbox.made.withLock { $0 = made }
            }
        } catch {
            rest(.failed("\(error)"))
        }
    }

    private static func plan(
        _ trace: [UInt8], _ description: PlacementModel, _ machine: PlacementMachine, _ settings: Settings,
        _ present: PlacementPlan
    ) -> Made {
        do {
            let halves = try WindowHalves(of: RoutingTraceFile(trace).trace)
            let planner = try Planner(model: description, machine: machine, halves: halves)
            let end = MonotonicClock.now + Int64(settings.planSeconds * 1e9)
            let report = planner.plan(isTimeUp: { MonotonicClock.now > end })
            guard let choice = report.choice, let plan = choice.plan, let score = choice.score else {
                throw PlacementError("no plan fits into the nodes' memory")
            }
            return .success((plan, planner.score(present).stepSeconds / score.stepSeconds - 1))
        } catch let error as PlacementError {
            return .failure(error)
        } catch {
            return .failure(PlacementError("\(error)"))
        }
    }

    private func take(_ made: Made) {
        switch made {
        case .failure(let error): rest(.failed(error.description))
        case .success(let (plan, gain)):
            guard gain >= settings.leastGain else { return rest(.kept(gain: gain)) }
            tell(.moving(policy: plan.policy, gain: gain))
            phase = .moving(plan, copied: 0)
        }
    }

    private func move(to plan: PlacementPlan, copied: Int) {
        do {
            let (bytes, isComplete) = try experts.move(to: plan, atMost: settings.turnBytes)
            if isComplete {
                rest(.moved(bytes: copied + bytes))
            } else {
                phase = .moving(plan, copied: copied + bytes)
            }
        } catch {
            rest(.failed("\(error)"))
        }
    }

    // MARK: Steps

    /// Always false: the router's choice is all it needs.
    public var wantsValues: Bool { false }

    /// Does nothing.
    public func saw(_ site: StepSite, _ rows: StepRows) {}

    /// Takes the experts of a layer's rows.
    public func routed(layer: Int, chosen: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {
        if layer == header.layers[0], !recorder.isNamed(text: rows.text) {
            do {
                try recorder.begin(domain: Self.domain, text: rows.text)
            } catch {
                preconditionFailure("a label that every trace takes: \(error)")
            }
        }
        recorder.routed(layer: layer, chosen: chosen, perRow: perRow, rows: rows)
    }

    /// Takes what became of a text's rows.
    public func ended(_ outcome: StepOutcome, text: Int) { recorder.ended(outcome, text: text) }

    /// Forgets the text.
    public func left(text: Int) { recorder.left(text: text) }
}
