import Bytes
import Formats
import Testing

@testable import Services

@Suite("The entries of a journal")
struct JournalEntryTests {
    private static let moment = Moment(
        nanoseconds: 123_456_789, timeOfDay: TAI64N(unixSeconds: 1_700_000_000, nanoseconds: 5))
    private static let complaint = Complaint("unable to open it", errno: 2)
    private static let definition: ServiceDefinition = {
        var definition = ServiceDefinition.plain
        definition.needs = ["a", "b"]
        definition.readiness = .tcp("127.0.0.1:80")
        definition.sockets = [.init(kind: .unix, address: "/run/a", name: "a")]
        return definition
    }()

    private static let events: [Event] =
        [
            .began, .noChildrenLeft, .directoryChanged, .rescanAsked, .timePassed,
            .died(pid: 5, Death(status: 256, startError: 2, ranOutOfMemory: true)),
            .forwarded(.hangup),
            .listed(
                Listing(
                    directory: FileID(device: 1, inode: 2),
                    entries: [
                        .init(
                            name: "a",
                            content: .directory(FileID(device: 3, inode: 4), isWhole: true)),
                        .init(
                            name: "b",
                            content: .directory(FileID(device: 3, inode: 5), isWhole: false)),
                        .init(name: "c", content: .undecided),
                        .init(name: "d", content: .unknown(complaint)),
                    ], cost: 77, isWatched: true)),
            .notListed(complaint), .inspected(PairID(1), signature: .max, hasRun: false),
            .examined(PairID(2), log: nil), .examined(PairID(2), log: FileID(device: 5, inode: 6)),
            .notExamined(PairID(3), nil), .notExamined(PairID(3), complaint), .piped(PairID(4)),
            .notPiped(PairID(5), complaint), .opened(ServiceID(0), isDown: true, nil),
            .opened(ServiceID(1), isDown: false, definition), .notOpened(ServiceID(2), complaint),
            .started(ServiceID(3), pid: 99),
            .adopted(ServiceID(3), pid: 98, since: moment.timeOfDay, isReady: true),
            .defined(ServiceID(4), nil), .defined(ServiceID(4), definition),
            .redefined(ServiceID(5), definition), .ready(ServiceID(6)), .connected(ServiceID(7)),
            .refused(ServiceID(8), errno: 11), .notPrepared(ServiceID(9), complaint),
            .congested(ServiceID(10)), .accompanied(ServiceID(11), .started(pid: 4)),
            .accompanied(ServiceID(11), .absent), .accompanied(ServiceID(11), .congested),
            .displaced(ServiceID(12)), .loggerAppeared(ServiceID(13)),
        ] + Command.allCases.map { .commanded(ServiceID(14), $0) }
        + Command.allCases.map { .groupCommanded(ServiceID(16), $0) }
        + Ending.allCases.map { .stopAsked($0, signal: .interrupt) }
        + ([
            .reloading, .stopping, .pinged, .troubled, .watchdogPeriod(7), .extended(8),
            .mainProcess(9), .status("well"),
        ] as [ServiceNotice]).map { .said(ServiceID(15), $0) }

    private static let entries: [JournalEntry] =
        events.map { .happened($0, moment, .init(serial: 3, part: 2, isSignal: true)) }
        + events.map { .performed(tag: 77, $0) }
        + [.performed(tag: 0, nil), .handed(moment), .fact([1, 2, 3]), .snapshot([]), .fact([])]

    @Test("They are read as they were written")
    func roundTrip() throws {
        for entry in JournalEntryTests.entries {
            #expect(try JournalEntry(entry.bytes[...]) == entry)
        }
    }

    @Test("What is cut off, or goes on, is damaged")
    func damage() {
        for entry in JournalEntryTests.entries {
            switch entry {
            case .fact, .snapshot: continue
            default: break
            }
            let bytes = entry.bytes
            for count in bytes.indices {
                #expect(throws: SnapshotError.damaged) { _ = try JournalEntry(bytes[..<count]) }
            }
            #expect(throws: SnapshotError.damaged) { _ = try JournalEntry((bytes + [0])[...]) }
        }
        #expect(throws: SnapshotError.damaged) { _ = try JournalEntry([9]) }
        #expect(throws: SnapshotError.damaged) { _ = try JournalEntry([]) }
    }

    @Test("A process that was adopted has been up since it was started, and may be ready")
    func adoption() {
        var conductor = Conductor(
            .init(
                single: "a", stopLimit: 1_000_000_000, stopReserve: 0, reachesOthers: false))
        let (now, since) = (JournalEntryTests.moment, TAI64N(unixSeconds: 1000, nanoseconds: 1))
        _ = conductor.handle(.began, at: now)
        let id = ServiceID(0)
        let actions = conductor.handle(.opened(id, isDown: false, nil), at: now)
        #expect(actions.contains { if case .start(id, .single, _, _) = $0 { true } else { false } })
        let next = conductor.handle(
            .adopted(id, pid: 77, since: since, isReady: false), at: now)
        #expect(
            next.contains {
                if case .writeStatus(id, let status) = $0 {
                    status.pid == 77 && status.since == since
                } else {
                    false
                }
            })
        #expect(conductor.processCount == 1)
        _ = conductor.handle(.died(pid: 77, Death(status: 0)), at: now)
        #expect(conductor.processCount == 0)
    }
}
