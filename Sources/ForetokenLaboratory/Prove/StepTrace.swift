import ForetokenModel

/// Remembers a fingerprint of everything a verifier computed, row by row in order of computation. A position that is run
/// again forgets what it had: rejected drafts leave nothing behind once the true token has been run.
public final class StepTrace: StepObserver {
    /// What one operator made of one row.
    package struct Entry: Equatable {
        /// -1 outside the layers.
        let layer: Int32
        /// -1 where it is no expert's.
        let expert: Int32
        /// Values of the row.
        let width: Int32
        package let operation: StepOperator
        let fingerprint: UInt64

        init(_ site: StepSite, width: Int, fingerprint: UInt64) {
            layer = Int32(site.layer ?? -1)
            expert = Int32(site.expert ?? -1)
            self.width = Int32(width)
            operation = site.operation
            self.fingerprint = fingerprint
        }

        var site: StepSite {
            StepSite(
                layer: layer < 0 ? nil : Int(layer), operation: operation, expert: expert < 0 ? nil : Int(expert))
        }
    }

    /// One position's last run.
    package struct Row {
        package fileprivate(set) var entries: [Entry] = []
        package fileprivate(set) var place = RowPlace(index: 0, count: 0)
    }

    /// Values to keep whole, besides the fingerprints.
    package struct Target {
        let position: Int
        let site: StepSite

        package init(position: Int, site: StepSite) {
            self.position = position
            self.site = site
        }
    }

    package private(set) var rows: [Row] = []
    /// Steps seen.
    package private(set) var stepCount = 0
    private let target: Target?
    /// The target's values in its last run; nil when it was never computed.
    package private(set) var kept: [Float]?

    /// Values are always wanted.
    public var wantsValues: Bool { true }

    /// An empty trace.
    public convenience init() { self.init(keeping: nil) }

    package init(keeping target: Target?) { self.target = target }

    /// Takes one operator's rows.
    public func saw(_ site: StepSite, _ values: StepRows) {
        if site.operation == .embedding { open(values) }
        for row in 0..<values.count {
            let base = values.base + row * values.stride
            let position = values.firstPosition + row
            rows[position].entries.append(
                Entry(site, width: values.width, fingerprint: Fingerprint.of(base, values.width)))
            if let target, target.position == position, target.site == site {
                kept = Array(UnsafeBufferPointer(start: base, count: values.width))
            }
        }
    }

    /// Nothing: the routing weights and the experts' values tell the choice.
    public func routed(layer: Int, chosen: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {}

    private func open(_ values: StepRows) {
        stepCount += 1
        let end = values.firstPosition + values.count
        while rows.count < end { rows.append(Row()) }
        for row in 0..<values.count {
            rows[values.firstPosition + row].entries.removeAll(keepingCapacity: true)
            rows[values.firstPosition + row].place = RowPlace(
                index: values.firstRow + row, count: values.stepRows)
        }
        if let target, (values.firstPosition..<end).contains(target.position) { kept = nil }
    }
}

/// Where in a step a row was computed.
public struct RowPlace: Sendable, Equatable {
    /// Row of the step, from 0.
    public let index: Int
    /// Rows of the step.
    public let count: Int

    /// A place; see the fields.
    public init(index: Int, count: Int) {
        self.index = index
        self.count = count
    }
}

/// The first difference between two traces.
package struct TraceDifference {
    package let position: Int
    /// What the reference computed there; nil when it computed nothing more.
    package let expected: StepSite?
    /// What the other trace has in that place.
    package let found: StepSite?
    package let expectedPlace: RowPlace
    package let foundPlace: RowPlace
}

extension StepTrace {
    /// The first difference in order of position, then of computation. Later ones may follow from it: a row depends on
    /// what was computed before it in the row, and on all rows before.
    package func firstDifference(to other: StepTrace, positions: Range<Int>) -> TraceDifference? {
        for position in positions {
            let expected = rows[position]
            let found = other.rows[position]
            guard expected.entries != found.entries else { continue }
            let common = zip(expected.entries, found.entries).prefix { $0 == $1 }.count
            return TraceDifference(
                position: position,
                expected: common < expected.entries.count ? expected.entries[common].site : nil,
                found: common < found.entries.count ? found.entries[common].site : nil,
                expectedPlace: expected.place, foundPlace: found.place)
        }
        return nil
    }

    /// Number of values in the rows of these positions.
    func valueCount(_ positions: Range<Int>) -> Int {
        positions.reduce(0) { sum, position in rows[position].entries.reduce(sum) { $0 + Int($1.width) } }
    }
}
