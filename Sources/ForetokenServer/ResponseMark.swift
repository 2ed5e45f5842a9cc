/// Counts a response as being written for as long as this lives. One that is never begun, since its client went before that,
/// counts no longer either.
final class ResponseMark: Sendable {
    private let desk: Desk

    init(_ desk: Desk) {
        self.desk = desk
        desk.beginResponse()
    }

    deinit { desk.endResponse() }
}
