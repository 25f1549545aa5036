import Formats
import ServiceFiles
import Services
import Testing

@Suite("What is to be seen after commands")
struct ExpectationTests {
    private func record(
        _ pid: UInt32, want: Character = "u", since: Int64 = 0, isPaused: Bool = false,
        _ state: StatusDetails.State? = nil
    ) -> StatusRecord {
        StatusRecord(
            since: TAI64N(unixSeconds: since, nanoseconds: 0), pid: pid, isPaused: isPaused,
            want: want == "0" ? 0 : want.asciiValue ?? 0, details: state.map { StatusDetails($0) })
    }

    /// The verdicts on what is seen after `letters` were sent to a service that was as `before`.
    private func verdicts(
        _ letters: String, before: StatusRecord, _ seen: StatusRecord?...
    ) -> [WaitVerdict] {
        let commands = letters.utf8.compactMap { Command(rawValue: $0) }
        let expectation = Expectation(of: commands, before: before)
        return seen.map { expectation.verdict(on: $0) }
    }

    private let gone = WaitVerdict.impossible("not supervised any more")

    @Test("Up: ready, and wanted up by now")
    func up() {
        let before = record(0, want: "d")
        #expect(
            verdicts(
                "u", before: before, before, record(0), record(7, since: 1),
                record(7, since: 1, .starting), record(7, since: 1, .up), nil)
                == [.pending, .pending, .reached, .pending, .reached, gone])
        // While it is still told to end, it is not up again.
        let stopping = record(7, want: "d", .stopping)
        #expect(
            verdicts(
                "u", before: stopping, stopping, record(7, .stopping), record(8, since: 1, .up))
                == [.pending, .pending, .reached])
        #expect(verdicts("u", before: record(7), record(7)) == [.reached])
    }

    @Test("Up: a failure counts when it is a new one")
    func failed() {
        let before = record(0, .failed)
        #expect(
            verdicts("u", before: before, before, record(0, since: 1, .failed))
                == [.pending, .impossible("failed")])
    }

    @Test("Once: it has been started, even if it is over")
    func once() {
        let before = record(0, want: "d")
        #expect(
            verdicts(
                "o", before: before, before, record(7, want: "0", since: 1),
                record(0, want: "0", since: 2))
                == [.pending, .reached, .reached])
    }

    @Test("Down: nothing has a process, and it is not coming back")
    func down() {
        let before = record(7)
        #expect(
            verdicts(
                "d", before: before, before, record(7, want: "d"), record(0, want: "u", since: 1),
                record(0, want: "d", since: 1, .finishing), record(0, want: "d", since: 2), nil)
                == [.pending, .pending, .pending, .pending, .reached, gone])
        #expect(verdicts("d", before: record(0, want: "d"), record(0, want: "d")) == [.reached])
    }

    @Test("A process that is told to end is replaced, or not", arguments: ["t", "k", "tk", "th"])
    func restart(letters: String) {
        let before = record(7)
        #expect(
            verdicts(
                letters, before: before, before, record(0, since: 1), record(7, since: 2),
                record(8, since: 2)) == [.pending, .pending, .reached, .reached])
        let once = record(7, want: "0")
        #expect(
            verdicts(letters, before: once, once, record(0, want: "0", since: 1))
                == [.pending, .reached])
        #expect(verdicts(letters, before: record(0, want: "d"), record(0, want: "d")) == [.reached])
    }

    @Test("Down and up is another process", arguments: ["du", "dxu", "tu"])
    func downAndUp(letters: String) {
        let before = record(7)
        let expected: [WaitVerdict] =
            letters == "dxu" ? [.pending, .pending, .pending] : [.pending, .pending, .reached]
        #expect(
            verdicts(letters, before: before, before, record(7, want: "d"), record(8, since: 1))
                == expected)
    }

    @Test("Exit: nobody supervises it", arguments: ["x", "dx", "xd", "dxt"])
    func exit(letters: String) {
        let before = record(7)
        #expect(
            verdicts(letters, before: before, before, record(0, want: "d", since: 1), nil)
                == [.pending, .pending, .reached])
    }

    @Test("Paused and resumed")
    func pause() {
        let (running, paused) = (record(7), record(7, isPaused: true))
        #expect(verdicts("p", before: running, running, paused) == [.pending, .reached])
        #expect(verdicts("c", before: paused, paused, running) == [.pending, .reached])
        #expect(verdicts("pc", before: running, running) == [.reached])
        #expect(verdicts("p", before: running, record(0, since: 1)) == [.reached])
    }

    @Test("Other signals, and none, are over at once", arguments: ["", "h", "aiq12w"])
    func signals(letters: String) {
        #expect(verdicts(letters, before: record(7), record(7), nil) == [.reached, .reached])
    }
}
