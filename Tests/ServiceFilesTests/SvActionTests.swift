import Bytes
import Formats
import ServiceFiles
import Services
import Testing

@Suite("What sv is asked to do") struct SvActionTests {
    private func status(
        _ pid: UInt32, want: UInt8 = StatusRecord.wantsUp, term: UInt8 = 0, state: UInt8? = nil,
        paused: Bool = false, at seconds: Int64 = 100, more: [UInt8] = []
    ) throws -> RunitStatus {
        let record = StatusRecord(
            since: TAI64N(unixSeconds: seconds, nanoseconds: 0), pid: pid, isPaused: paused,
            want: want)
        let bytes = record.bytes + [term, state ?? (pid == 0 ? 0 : 1)] + more
        return try #require(RunitStatus(bytes))
    }

    private let start = TAI64N(unixSeconds: 50, nanoseconds: 0)
    private let later = TAI64N(unixSeconds: 150, nanoseconds: 0)

    private func action(_ word: ByteString, isScript: Bool = false) throws -> SvAction {
        try #require(SvAction(word, isScript: isScript, waits: false))
    }

    private func isReached(_ word: ByteString, _ status: RunitStatus, available: Bool = true) throws
        -> Bool
    {
        try action(word).isReached(status, since: start, isAvailable: { available })
    }

    @Test(
        "Of most words the first letter counts",
        arguments: ["up", "u", "uptime"] as [ByteString])
    func letters(word: ByteString) throws {
        #expect(try action(word).commands == [.up])
        #expect(try !action(word).waits)
    }

    @Test(
        "Words that are none",
        arguments: ["", "z", "r", "restar", "f", "force-zap", "w", "b", "l"] as [ByteString])
    func wrong(word: ByteString) { #expect(SvAction(word, isScript: false, waits: false) == nil) }

    @Test("An init script has no other word for status")
    func script() throws {
        #expect(try action("status", isScript: true).kind == .status)
        #expect(SvAction("stat", isScript: true, waits: false) == nil)
        #expect(try action("stat").kind == .status)
    }

    @Test("Words of init scripts wait, and the forceful kill")
    func waiting() throws {
        #expect(try action("restart").commands == [.terminate, .continue, .up])
        #expect(try action("restart").waits)
        #expect(try !action("restart").kills)
        #expect(try action("force-stop").kills)
        #expect(try action("D").kills)
    }

    @Test("To runsv, exit is one letter; to others it is two")
    func exit() throws {
        let exit = try action("exit")
        #expect(exit.letters(for: try status(5)) == Array("x".utf8))
        #expect(exit.letters(for: try status(5, more: [1])) == Array("dx".utf8))
    }

    @Test("What is wanted already is not sent, but down is, until TERM has been")
    func wanted() throws {
        #expect(try action("up").isWanted(try status(5)))
        #expect(try !action("up").isWanted(try status(5, want: StatusRecord.wantsDown)))
        #expect(try !action("down").isWanted(try status(5, want: StatusRecord.wantsDown)))
        #expect(try action("down").isWanted(try status(5, want: StatusRecord.wantsDown, term: 1)))
        #expect(try !action("term").isWanted(try status(5)))
    }

    @Test("When it is up")
    func up() throws {
        #expect(try isReached("start", try status(5)))
        #expect(try !isReached("start", try status(5), available: false))
        #expect(try !isReached("start", try status(0)))
        #expect(try !isReached("start", try status(5, state: 2)))
    }

    @Test("When it is down")
    func down() throws {
        #expect(try isReached("stop", try status(0)))
        #expect(try !isReached("stop", try status(5)))
        #expect(try !isReached("stop", try status(0, state: 2)))
    }

    @Test("When it has been started again")
    func restarted() throws {
        #expect(try isReached("restart", try status(5)))
        #expect(try !isReached("restart", try status(5, at: 10)))
        #expect(try !isReached("restart", try status(5, term: 1)))
        #expect(try !isReached("restart", try status(0)))
        #expect(try isReached("try-restart", try status(0, want: StatusRecord.wantsDown)))
    }

    @Test("When it runs once")
    func once() throws {
        #expect(try isReached("once", try status(5, want: StatusRecord.wantsDown)))
        #expect(try isReached("once", try status(5, want: StatusRecord.wantsNothing)))
        #expect(try !isReached("once", try status(5)))
        #expect(try isReached("once", try status(0)))
        #expect(try !isReached("once", try status(0, at: 10)))
    }

    @Test("When it is paused, and when it goes on")
    func paused() throws {
        #expect(try isReached("pause", try status(5, paused: true)))
        #expect(try !isReached("pause", try status(5)))
        #expect(try isReached("cont", try status(5)))
        #expect(try !isReached("cont", try status(5, paused: true)))
    }

    @Test("Check waits for what is wanted")
    func check() throws {
        #expect(try isReached("check", try status(5)))
        #expect(try !isReached("check", try status(0)))
        #expect(try isReached("check", try status(0, want: StatusRecord.wantsDown)))
        #expect(try !isReached("check", try status(5, want: StatusRecord.wantsDown)))
    }

    @Test("Exit is over only when nobody supervises it")
    func over() throws { #expect(try !isReached("shutdown", try status(0))) }
}
