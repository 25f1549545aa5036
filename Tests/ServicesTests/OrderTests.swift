import Bytes
import Testing

@testable import Services

@Suite("Letters that say whom the ones after them are for")
struct OrderTests {
    /// Orders in short: `LOGGER GROUP COMMAND`, with a place before.
    private func orders(_ letters: String) -> [String] {
        Order.all(in: Array(letters.utf8)).map {
            let letter = Character(Unicode.Scalar($0.command.rawValue))
            return "\($0.place)\($0.isForLogger ? "L" : "")\($0.isForGroup ? "+" : "")\(letter)"
        }
    }

    @Test("They count for what follows, and turning to somebody turns to his process")
    func turns() {
        #expect(orders("") == [])
        #expect(orders("tdx") == ["0t", "1d", "2x"])
        #expect(orders("ltLd") == ["1t", "3Ld"])
        #expect(orders("+tk=h") == ["1+t", "2+k", "4h"])
        #expect(orders("L+tlhL+k") == ["2L+t", "4h", "7L+k"])
        #expect(orders("++Ltt") == ["3Lt", "4Lt"])
        #expect(orders("L?\0t") == ["3Lt"])
        #expect(orders("lL+=") == [])
    }

    @Test("No letter has two meanings")
    func distinct() {
        for turn in Order.Turn.allCases { #expect(Command(rawValue: turn.rawValue) == nil) }
    }

    @Test("A command for the group sends its signals there, and only its own")
    func group() {
        var script = Script.oneUp()
        #expect(
            script.take(.groupCommanded(ServiceID(0), .hangup)) == [
                .signal(pid: 100, .hangup, .group)
            ])
        #expect(
            script.take(.groupCommanded(ServiceID(0), .down)).withoutStatus == [
                .signal(pid: 100, .terminate, .group), .signal(pid: 100, .continue, .group),
            ])
        #expect(
            script.take(.commanded(ServiceID(0), .kill)).withoutStatus == [
                .signal(pid: 100, .kill)
            ])
    }

    @Test("Who the logger is")
    func logger() {
        var script = Script()
        script.list([("a", 1), ("b", 2)])
        script.take(.examined(PairID(0), log: Script.file(5)))
        script.take(.piped(PairID(0)))
        script.take(.examined(PairID(1), log: nil))
        let pairs = (0..<3).map { script.conductor.logger(of: ServiceID($0)) }
        #expect(pairs.compactMap { $0 }.count == 1)
        #expect(pairs.compactMap { $0 }.allSatisfy { script.conductor.logger(of: $0) == nil })
    }
}
