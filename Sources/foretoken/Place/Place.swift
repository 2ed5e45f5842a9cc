import ArgumentParser
import ForetokenHardware
import ForetokenPlacement
import ForetokenReport
import ForetokenText
import ForetokenWeights
import Glibc

/// Where experts should lie, by what their router does.
struct Place: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Plans where experts should lie, and shows what each policy would give.",
        discussion: """
            Takes a routing trace (--record-routing of generate, score and measure makes them) and this machine, or one \
            that --topology describes (see doctor --help). Every policy's plan is made from one half of the trace and \
            judged by the other; of all plans within 1 % of the best the simplest is chosen. All times are predictions \
            from bytes, bandwidths, pieces and barriers.

            Steps that several texts shared (generate --input-file --parallel) are planned for as they were recorded. Since a \
            text's experts are the same in any company, --parallel N plans for steps of N texts from any trace with so many.

            In their text form traces have one JSON object a line and row: \
            {"round":0,"row":0,"domain":"code","layers":[[],[3,7],[1,2]]}; lines of equal round form a window. Where they \
            also have a number "text", rows of several texts in one round are one step.

            --format eplb writes {"phy2log", "log2phy", "logcnt"} of DeepSeek's EPLB interface, nodes being its devices: \
            for balanced (the default there) and replicas=R what EPLB itself makes of the whole trace's loads, for \
            round-robin, contiguous, spread and search the plan.

            --hosts needs no trace: it shows what one host, layers on each, and rows cut over all of them would give, and \
            what fits. The file is a JSON object: {"hosts": [{"name", "memory_gb", "bandwidth_gbps"}, …], "link": \
            {"alpha_us", "gbps"}}, with 10^9 bytes and 10^9 bytes a second; 10 Gb Ethernet is about {"alpha_us": 30, \
            "gbps": 1.17}. Instead of memory and bandwidth a host may have "topology", what a topology file has; \
            "prompt_tflops" of a host and "peer_us" of the link (what each further host adds to an exchange) may be added.
            """)

    @Option(
        help: ArgumentHelp(
            "Only shows the statistics of a routing trace, recorded or in its text form; - is standard input.",
            valueName: "f"))
    var show: String?

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Routing trace to plan from; may be repeated, - is standard input.", valueName: "f"))
    var trace: [String] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Routing trace in its text form; may be repeated.", valueName: "f.jsonl"))
    var traceJsonl: [String] = []

    @Flag(help: "Plans from made-up routing, to try planning without a trace.")
    var exampleTrace = false

    @Option(
        help: ArgumentHelp(
            "Only prints the description of such a machine, to edit for --topology.",
            valueName: ExampleTopology.names))
    var exampleTopology: ExampleTopology?

    @Option(
        help: ArgumentHelp(
            "Shows how the model would be divided over the hosts that a JSON file describes.", valueName: "file"))
    var hosts: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("How often a draft holds, for --hosts (default: 0.85).", valueName: "x"))
    var acceptance: Double?

    @OptionGroup(title: "Model") var model: PlacedModelOptions
    @OptionGroup(title: "Machine") var described: TopologyOption
    @OptionGroup(title: "Machine") var costs: PlacementCostFlags

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Takes this policy's plan: \(PolicyChoice.names) (default: auto).", valueName: "name"),
        transform: PolicyChoice.parse)
    var policy: PolicyChoice?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Rows of the windows that prompts are cut into where verify windows are few (default: 2).",
            valueName: "n"))
    var window: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Plans for so many texts at once, with the drafts that were recorded (default: for steps as recorded).",
            valueName: "n"))
    var parallel: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Seconds that the policy search may take (default: 20).", valueName: "s"))
    var searchSeconds: Double?

    @Option(help: ArgumentHelp("Writes the plan, for --plan.", valueName: "f"))
    var out: String?

    @Option(help: ArgumentHelp("What --out writes (default: plan).", valueName: "plan|eplb"))
    var format: PlanFormat?

    @Option(help: ArgumentHelp("Also writes a page with charts, for a browser.", valueName: "f.html"))
    var report: String?

    @Flag(help: "Prints one JSON object.")
    var json = false

    func validate() throws {
        let traces = trace + traceJsonl
        if exampleTopology != nil {
            guard traces.isEmpty, !isPlanning, !model.isChosen, hosts == nil, acceptance == nil, show == nil, !json
            else {
                throw ValidationError("--example-topology prints a file and plans nothing: it takes no other option")
            }
            return
        }
        if show != nil {
            guard traces.isEmpty, !isPlanning, !model.isChosen, hosts == nil, acceptance == nil else {
                throw ValidationError("--show looks at a trace and plans nothing: it takes no other option but --json")
            }
            return
        }
        if let acceptance {
            guard hosts != nil else { throw ValidationError("--acceptance is for --hosts") }
            guard (0...1).contains(acceptance) else {
                throw ValidationError("--acceptance must be 0...1, not \(acceptance)")
            }
        }
        if hosts != nil {
            guard traces.isEmpty, !isPlanning else {
                throw ValidationError(
                    "--hosts forecasts what hosts give and places no experts: it takes the model's options, "
                        + "--acceptance and --json")
            }
            return
        }
        guard traces.isEmpty == exampleTrace else {
            throw ValidationError(
                exampleTrace
                    ? "--example-trace stands for a routing trace: give that or --trace, not both"
                    : "give a routing trace to plan from (--trace, --trace-jsonl or --example-trace), or one to look at "
                        + "(--show)")
        }
        if exampleTrace && out != nil {
            throw ValidationError(
                "a plan from --example-trace is for no model's routing, so --out does not write it; record a trace")
        }
        if traces.count(where: { $0 == "-" }) > 1 { throw ValidationError("standard input can be one trace only") }
        if let window, !(1...1024).contains(window) {
            throw ValidationError("--window must be 1...1024, not \(window)")
        }
        if let parallel, !(1...16).contains(parallel) {
            throw ValidationError("--parallel must be 1...16, not \(parallel)")
        }
        if let searchSeconds, !(searchSeconds >= 0 && searchSeconds <= 86_400) {
            throw ValidationError("--search-seconds must be 0...86400, not \(searchSeconds)")
        }
        if format != nil && out == nil { throw ValidationError("--format says what --out writes; give --out too") }
        if format == .eplb, let asked, !asked.keepsExpertsWhole {
            throw ValidationError(
                "\(asked) cuts experts, but EPLB's arrays hold whole ones; use --policy balanced, replicas=R, spread, "
                    + "search, round-robin or contiguous")
        }
    }

    /// Whether anything was given that only plans of experts need.
    private var isPlanning: Bool {
        exampleTrace || described.topology != nil || costs.isChosen || policy != nil || window != nil
            || parallel != nil || searchSeconds != nil || out != nil || format != nil || report != nil
    }

    /// The policy whose plan is taken; nil for the planner's choice.
    private var asked: PlacementPolicy? {
        switch policy {
        case .fixed(let asked): asked
        case nil where format == .eplb: .balanced
        case .auto, nil: nil
        }
    }

    func run() throws {
        if let exampleTopology { return try StandardOutput.write(Array(exampleTopology.json.utf8)) }
        if let show { return try Self.show(show, json: json) }
        if let hosts { return try divide(over: hosts) }
        try checkOutputs()
        let machine = try describedMachine()
        let placed = try PlacedModel(model, on: machine.machine)
        let routing =
            exampleTrace
            ? try TraceInput.example(parallel: parallel, for: placed)
            : try TraceInput.joined(trace, texts: traceJsonl, parallel: parallel, for: placed)
        let planner = try Planner(
            model: placed.bound(to: routing), machine: machine.machine,
            halves: WindowHalves(of: routing, width: window ?? 2))
        let study = study(planner, routing, placed, machine)
        // Before anything is shown, since whoever reads that may leave early.
        try write(study, routing)
        try StandardOutput.write(
            json
                ? JSONOutput.line(study, snakeCase: true)
                : StandardOutput.page { PlaceTables(study, $0).text })
        if study.taken == nil {
            let verdict = PlacementVerdict(study)
            throw InputError("\(verdict.headline): \(verdict.reason.filter { $0 != "`" })")
        }
    }

    private static func show(_ path: String, json: Bool) throws {
        let statistics = TraceStatistics(try TraceInput(path).trace)
        try StandardOutput.write(
            json
                ? JSONOutput.line(statistics, snakeCase: true)
                : StandardOutput.page(TraceTables(statistics).text))
    }

    /// Finds out early what could not be written, or would overwrite what is read.
    private func checkOutputs() throws {
        try OutputFile.check(
            [("--out", out), ("--report", report)], inputs: trace + traceJsonl + [described.topology, model.shape])
    }

    private func describedMachine() throws -> MachineDescription {
        guard let file = try described.file() else {
            return try MachineDescription.here(costs: costs.costs)
        }
        return MachineDescription(file, costs: costs.costs)
    }

    private func study(
        _ planner: Planner, _ routing: RoutingTrace, _ placed: PlacedModel, _ machine: MachineDescription
    ) -> PlacementStudy {
        let usual = planner.policies
        let policies = asked.map { usual.contains($0) ? usual : usual + [$0] } ?? usual
        let deadline = MonotonicClock.now + Int64((searchSeconds ?? 20) * 1e9)
        let report = planner.plan(policies) { MonotonicClock.now > deadline }
        let statistics = TraceStatistics(routing)
        return PlacementStudy(
            subject: .init(
                placed.placement, label: placed.label, isShape: placed.isShape, weights: placed.format.rawValue,
                context: placed.context, traces: exampleTrace ? ["made-up routing"] : trace + traceJsonl,
                parallel: parallel, isExample: exampleTrace),
            machine: .init(
                machine, name: described.topology ?? "this machine", hasGivenCosts: costs.areComplete),
            report: report, trace: statistics,
            coactivation: statistics.pairs.first.flatMap { CoactivationMap(routing, layer: $0.layer, limit: 32) },
            asked: asked)
    }

    private func write(_ study: PlacementStudy, _ routing: RoutingTrace) throws {
        if let out, let plan = study.taken?.result.plan {
            let bytes =
                format == .eplb
                ? try JSONOutput.line(study.replicaMaps(plan))
                : try PlacementPlanFile.encode(plan)
            try OutputFile.write(bytes, to: out)
            Console.note("the \(format == .eplb ? "EPLB arrays are" : "plan is") in \(out)")
        }
        if let report {
            try OutputFile.write(Array(PlacePage(study).html.utf8), to: report)
            Console.note("the report is in \(report)")
        }
    }
}

/// What work costs besides reading, where somebody measured it.
struct PlacementCostFlags: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Microseconds that one expert's part on one node costs besides reading it (default: 2.5).", valueName: "x"))
    var pieceUs: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Microseconds of one meeting of all workers (default: 2, and 0.5 for each further node).", valueName: "x"))
    var barrierUs: Double?

    func validate() throws {
        for (option, value) in [("--piece-us", pieceUs), ("--barrier-us", barrierUs)] {
            if let value, !(value >= 0 && value <= 1e6) {
                throw ValidationError("\(option) must be 0...1000000, not \(value)")
            }
        }
    }

    var isChosen: Bool { pieceUs != nil || barrierUs != nil }
    var areComplete: Bool { pieceUs != nil && barrierUs != nil }

    var costs: MachineDescription.Costs {
        .init(piece: pieceUs.map { $0 * 1e-6 }, barrier: barrierUs.map { $0 * 1e-6 })
    }
}

extension PlacementStudy {
    /// The plan as EPLB's arrays, or what EPLB itself makes of the trace's loads where the policy is EPLB's.
    func replicaMaps(_ plan: PlacementPlan) throws -> ReplicaMaps {
        let (devices, experts) = (report.nodes.count, subject.experts)
        let loads = trace.layers.map { $0.load.map(Double.init) }
        switch selected?.policy {
        case .balanced:
            return try ReplicaMaps(balancing: loads, copies: experts, groups: 1, nodes: 1, devices: devices)
        case .replicas(let percent):
            let copies = (Double(experts) * (1 + percent / 100) / Double(devices)).rounded(.up)
            return try ReplicaMaps(
                balancing: loads, copies: Int(copies) * devices, groups: 1, nodes: 1, devices: devices)
        default: return try ReplicaMaps(plan, layers: report.layers, experts: experts)
        }
    }
}
