import ForetokenLaboratory
import ForetokenReport

extension MeasurePage {
    /// How it was measured, and what the words mean.
    var method: ReportPage.Section {
        .init(
            "How it was measured",
            [
                .definitions(settings.filter { !$0.meaning.isEmpty }), .heading("What the words mean"),
                .definitions(Self.glossary),
            ])
    }

    private var settings: [(term: String, meaning: String)] {
        let subject = measurement.subject
        let temperatures = measurement.conditions.map { spelled($0.temperature) }.joined(separator: ", ")
        let filters = subject.filters.isEmpty ? "" : ", \(subject.filters)"
        let isText = subject.format == "text"
        return [
            ("Model", subject.model),
            (
                isText ? "Text" : "Prompts",
                isText
                    ? subject.source
                    : [
                        subject.prompts > 0 ? "\(count(subject.prompts, "prompt"))" : "", subject.source,
                        "\(subject.format) format",
                        subject.maximumTokens > 0
                            ? "at most \(count(subject.maximumTokens, "token")) generated for each" : "",
                    ].filter { !$0.isEmpty }.joined(separator: ", ")
            ),
            ("Drafts", subject.depth > 0 ? "chains of up to \(subject.depth)" : ""),
            ("Sources", subject.sources == "both" ? "MTP modules and look-up" : subject.sources),
            ("Temperature", temperatures.isEmpty ? "" : "\(temperatures)\(filters), seed \(subject.seed)"),
            (
                "Machine",
                [
                    subject.processor, subject.threads > 0 ? count(subject.threads, "worker thread") : "",
                    subject.instructionSet.isEmpty ? "" : "\(subject.instructionSet) kernels",
                ].filter { !$0.isEmpty }.joined(separator: ", ")
            ),
            ("Cache", subject.cacheType.isEmpty ? "" : "\(subject.cacheType) latents"),
        ]
    }

    private static let glossary: [(term: String, meaning: String)] = [
        (
            "Draft, verifier",
            "The checkpoint's multi-token-prediction module guesses the next tokens (drafts), or they are looked up in the text; the model itself, the verifier, "
                + "checks them all in one step. Only the verifier's own tokens are ever emitted."
        ),
        (
            "Plain step",
            "One pass over the model for one row, yielding one token: what generation without drafts does all the time."
        ),
        ("Round", "Some drafts and the step that checks them. It emits the drafts that hold and one token more."),
        (
            "Tokens per round",
            "1 + accepted drafts ÷ rounds, of rounds of one length along all prompts, each once. 1 without drafts."
        ),
        (
            "Tokens per timed round",
            "The same of the runs whose speed was compared: along as many prompts as there was time for, some of them more "
                + "than once, and with fewer drafts in the last round of a text."
        ),
        (
            "Acceptance per round",
            "Accepted drafts ÷ drafts tried, in real rounds. Drafts behind one that failed count as tried and failed, so longer rounds score lower."
        ),
        (
            "Acceptance per position",
            "A chain of drafts is started at every position of the text, not only where rounds begin, and each draft is compared with the verifier's choice."
        ),
        (
            "Conditional",
            "Draft d holds, counted only where drafts 1…d − 1 held. Along a given text: where the text goes the way of drafts 1…d − 1, since only there the verifier's choice is known."
        ),
        ("Cumulative", "Drafts 1…d all hold: the product of the conditional shares."),
        (
            "Interval",
            "95 %, by bootstrap over prompts: whole prompts are drawn again and again, since the rounds of one prompt are not independent. With fewer than eight prompts, which say little of how prompts differ: Wilson's interval where that is wider, and no verdict is taken for sure. For speeds, turns are drawn again too."
        ),
        (
            "Predicted speed-up",
            "The same rounds with the same drafts, run along the recorded tokens without the model: each step and draft takes its typical time at that context. For auto the same policy decides, and learns on the way."
        ),
        (
            "Look-up",
            "Where the text, prompt and earlier output included, has ended before as it ends now, by its last 16, 8, 5 or 3 tokens, what followed there is proposed. The longer the match, the surer."
        ),
        (
            "Given answer",
            "Text that the model is made to say in place of its own choice: all steps and drafts are computed, but the tokens are the answer's. Such domains tell what drafts are worth on text that a better model would write; they are not part of all."
        ),
        (
            "Limit for copies",
            "The largest n ÷ T(n), where T(n) is the time of a step of n rows over that of one: what text gains of which every draft holds and none costs anything to make."
        ),
        (
            "Measured speed-up",
            "Time without drafts ÷ time with them for the same tokens, in runs that took turns, so that both saw the same state of the machine."
        ),
        (
            "Shared noise",
            "Sampling adds noise that depends on seed, position and token alone; verifier and draft use the same. Expected agreement: Σᵢ 1 ÷ Σⱼ max(pⱼ/pᵢ, qⱼ/qᵢ) (arXiv 2408.07978)."
        ),
        (
            "Memory roof",
            "A step cannot be faster than the weights it reads ÷ the machine's read bandwidth, unless its caches hold them."
        ),
    ]
}
