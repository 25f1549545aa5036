import Bytes
import Testing

@testable import Linux

extension ProcessTable {
    /// A table of process ids with their parents.
    fileprivate init(parents: [ProcessID: ProcessID]) {
        self.init(parents.mapValues { Links(parent: $0) })
    }
}

@Suite("The processes below")
struct ProcessTableTests {
    /// 1 ─┬─ 10 logger ── 11 its processor
    ///    ├─ 20 ── 21
    ///    └─ 30 orphan        40 entered the namespace
    private let table = ProcessTable(parents: [
        1: 0, 10: 1, 11: 10, 20: 1, 21: 20, 30: 1, 40: 0, 41: 40,
    ])

    @Test("Process 1 answers for all but itself and its loggers with their children")
    func processOne() {
        #expect(Set(table.strays(of: 1, sparing: [10])) == [20, 21, 30, 40, 41])
        #expect(Set(table.strays(of: 1, sparing: [])) == [10, 11, 20, 21, 30, 40, 41])
    }

    @Test("A subreaper answers for its own descendants only")
    func subreaper() {
        #expect(Set(table.strays(of: 20, sparing: [])) == [21])
        #expect(Set(table.strays(of: 40, sparing: [])) == [41])
        #expect(table.strays(of: 99, sparing: []) == [])
    }

    @Test("A circle, as a table read while it changes may hold, does not hang")
    func circle() {
        let table = ProcessTable(parents: [5: 6, 6: 5])
        #expect(table.strays(of: 1, sparing: []) == [])
    }

    @Test(
        "The parent is found behind any command name",
        arguments: [
            ("7 (sh) S 1 7 7 0", [1, 7, 7]), ("7 (a b) S) R 12 7", [12, 7, 0]),
            ("7 ()) Z 345 1 6 0 -1 4194560", [345, 1, 6]), ("", [0, 0, 0]), ("7 (sh)", [0, 0, 0]),
            ("7 sh S 1", [0, 0, 0]),
        ] as [(String, [ProcessID])])
    func links(status: String, expected: [ProcessID]) {
        let links = ProcessTable.links(in: Array(status.utf8))
        #expect([links.parent, links.group, links.session] == expected)
    }

    /// 1 ─┬─ 50 run, session 50 ─── 51 its child ─── 52 in a session of its own ─── 53
    ///    ├─ 54 orphan of session 50
    ///    ├─ 55 orphan of the group 51 ─── 56 in a session of its own
    ///    └─ 60 another service, session 60
    private let service: [ProcessID: ProcessTable.Links] = [
        1: .init(), 50: .init(parent: 1, group: 50, session: 50),
        51: .init(parent: 50, group: 51, session: 50),
        52: .init(parent: 51, group: 52, session: 52),
        53: .init(parent: 52, group: 52, session: 52), 54: .init(parent: 1, group: 54, session: 50),
        55: .init(parent: 1, group: 51, session: 50), 56: .init(parent: 55, group: 56, session: 56),
        60: .init(parent: 1, group: 60, session: 60),
    ]

    @Test("What a program leaves behind is found while it is there and when it is gone")
    func remains() {
        let all: Set<ProcessID> = [51, 52, 53, 54, 55, 56]
        #expect(Set(ProcessTable(service).remains(of: 50)) == all)
        #expect(Set(ProcessTable(service).remains(of: 50, sparing: [51])) == [54, 55, 56])
        var later = service
        later[50] = nil
        later[51] = nil
        later[52]?.parent = 1
        // What has left the session is found by its parent only, which is gone.
        #expect(Set(ProcessTable(later).remains(of: 50)) == [54, 55, 56])
        #expect(ProcessTable(service).remains(of: 99) == [])
        #expect(ProcessTable(service).remains(of: 60) == [])
    }

    @Test("A circle does not hang the search for what was left behind")
    func circleOfRemains() {
        let table = ProcessTable([
            5: .init(parent: 6, group: 5, session: 5), 6: .init(parent: 5, group: 6, session: 6),
        ])
        #expect(table.remains(of: 5) == [6])
    }

    @Test("A shell's background children are found after it has gone")
    func realRemains() throws {
        let pipe = try Pipe()
        var setup = ChildSetup()
        setup.newSession = true
        setup.descriptors = [-1, pipe.writer.number]
        let script: ByteString = "sleep 60 & setsid sleep 60 & echo $! ; exit 0"
        let pid = try spawn(
            Invocation(
                "sh", arguments: ["sh", "-c", script],
                environment: Environment(["PATH=/usr/bin:/bin"])), setup)
        _ = try reap(pid, block: true)
        let left = try ProcessTable().remains(of: pid)
        #expect(left.count >= 1)
        // Each is a shell until its exec.
        let deadline = Instant.now.advanced(milliseconds: 10_000)
        for one in left {
            while ProcessTable.name(of: one) == "sh", Instant.now < deadline {
                pause(until: Instant.now.advanced(milliseconds: 2))
            }
            #expect(["sleep", "setsid"].contains(ProcessTable.name(of: one)))
        }
        // The one that has a session of its own is beyond reach once its parent is gone.
        var line = [UInt8](repeating: 0, count: 16)
        _ = try line.withUnsafeMutableBytes { try read(pipe.reader.number, into: $0) }
        for one in Set(left + [ProcessID(scanDecimal(line).value)]) { try send(.kill, to: one) }
    }

    @Test("The real table has this process below its parent")
    func real() throws {
        let table = try ProcessTable()
        #expect(table.strays(of: CurrentProcess.parent, sparing: []).contains(CurrentProcess.id))
    }

    @Test("Without /proc it says so")
    func withoutProc() {
        let seam = Seam()
        seam.fail("open", with: .noEntry, times: .max)
        #expect(throws: SystemError("open", .noEntry, subject: "/proc")) {
            try seam.during { try ProcessTable() }
        }
    }
}
