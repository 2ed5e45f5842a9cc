import ForetokenAPI

/// Requests whose texts wait for room, in the order in which they came.
struct WaitingLine {
    private struct Request {
        let number: Int
        var texts: Int
        let feed: AnswerFeed
    }

    private var requests: [Request] = []

    /// Puts a request at the end.
    mutating func join(_ number: Int, _ feed: AnswerFeed) {
        requests.append(Request(number: number, texts: feed.order.choiceCount, feed: feed))
    }

    /// Takes one of a request's texts out.
    mutating func leave(_ number: Int) {
        guard let place = requests.firstIndex(where: { $0.number == number }) else { return }
        requests[place].texts -= 1
        if requests[place].texts == 0 { requests.remove(at: place) }
    }

    /// Those who want to know their place, and how many texts wait before each.
    var places: [(feed: AnswerFeed, before: Int)] {
        var (places, before) = ([(AnswerFeed, Int)](), 0)
        for request in requests {
            if request.feed.wantsHeadway { places.append((request.feed, before)) }
            before += request.texts
        }
        return places
    }
}
