import Testing
import foretoken

@Suite struct TuneReservationTests {
    private func sentences(
        nodes: Int = 2, disturbance: String? = nil, loss: Double? = nil, present: Double? = 1.5
    ) -> [String] {
        TuneReservations(nodes: nodes, disturbance: disturbance, loss: loss, presentMs: present).sentences
    }

    @Test func goodTimesNeedNoWords() { #expect(sentences().isEmpty) }

    @Test func aBusyMachineIsSaid() {
        let busy = "other programs took 34 % of the CPUs' time"
        #expect(
            sentences(disturbance: busy) == [
                "The machine was busy: \(busy). The measured times cannot be relied on, so the plan is the one predicted to "
                    + "be fastest; run tune again when nothing else runs."
            ])
        #expect(sentences(nodes: 1, disturbance: busy)[0].contains("cannot be relied on; run tune again"))
    }

    @Test func plansThatAreSlowerThanNoneAreSaid() {
        #expect(
            sentences(loss: 0.38) == [
                "None of these plans is faster than the placement without a plan: a step takes 38.0 % longer than its "
                    + "1.500 ms; leave --plan out."
            ])
        #expect(sentences(nodes: 1, loss: 0.38).isEmpty && sentences(loss: 0.38, present: nil).isEmpty)
    }
}
