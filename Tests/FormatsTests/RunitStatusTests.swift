import Bytes
import Formats
import Testing

@Suite("The status file as runit has it") struct RunitStatusTests {
    /// A record of a service since the second `seconds` of the label.
    private func record(pid: UInt32 = 5, paused: Bool = false, want: UInt8 = StatusRecord.wantsUp)
        -> StatusRecord
    {
        StatusRecord(
            since: TAI64N(unixSeconds: 100, nanoseconds: 0), pid: pid, isPaused: paused, want: want)
    }

    private func status(_ record: StatusRecord, _ rest: [UInt8]) -> RunitStatus? {
        RunitStatus(record.bytes + rest)
    }

    private let now = TAI64N(unixSeconds: 107, nanoseconds: 0)

    @Test("Every state is read", arguments: RunitStatus.State.allCases)
    func states(state: RunitStatus.State) {
        #expect(status(record(), [0, state.rawValue])?.state == state)
    }

    @Test("Shorter files are no status", arguments: 0..<18)
    func short(count: Int) { #expect(RunitStatus(record().bytes.prefix(count)) == nil) }

    @Test("Of a file of daemontools the state is guessed", arguments: [0, 5] as [UInt32])
    func daemontools(pid: UInt32) {
        let status = status(record(pid: pid), [])
        #expect(status?.state == (pid == 0 ? .down : .run))
        #expect(status?.wasTerminated == false)
        #expect(status?.isOfRunsv == false)
    }

    @Test("What is longer than runsv's file is not runsv's")
    func author() {
        #expect(status(record(), [0, 1])?.isOfRunsv == true)
        #expect(status(record(), [0, 1, 1])?.isOfRunsv == false)
    }

    @Test(
        "The details of Apus are read as runit reads them", arguments: StatusDetails.State.allCases)
    func details(state: StatusDetails.State) {
        var record = record(pid: state == .down ? 0 : 5)
        record.details = StatusDetails(state)
        #expect(RunitStatus(record.bytes)?.state != nil)
    }

    @Test("A state that means nothing has no word")
    func unknown() {
        #expect(
            status(record(), [0, 9])?.line("a", isNormallyUp: true, at: now) == "a: (pid 5) 7s")
    }

    @Test("Everything there is to say of a process")
    func process() {
        let status = status(record(paused: true, want: StatusRecord.wantsDown), [1, 1])
        #expect(
            status?.line("a", isNormallyUp: false, at: now)
                == "run: a: (pid 5) 7s, normally down, paused, want down, got TERM")
    }

    @Test("Everything there is to say without one")
    func noProcess() {
        #expect(
            status(record(pid: 0), [1, 0])?.line("a", isNormallyUp: true, at: now)
                == "down: a: 7s, normally up, want up")
    }

    @Test("A stamp of the future is no age")
    func future() {
        let past = TAI64N(unixSeconds: 1, nanoseconds: 0)
        #expect(
            status(record(pid: 0, want: 0), [0, 0])?.line("a", isNormallyUp: false, at: past)
                == "down: a: 0s")
    }
}
