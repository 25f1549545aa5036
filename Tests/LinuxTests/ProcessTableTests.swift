import Testing

@testable import Linux

@Suite("The processes below")
struct ProcessTableTests {
    /// 1 ─┬─ 10 logger ── 11 its processor
    ///    ├─ 20 ── 21
    ///    └─ 30 orphan        40 entered the namespace
    private let table = ProcessTable(
        parents: [1: 0, 10: 1, 11: 10, 20: 1, 21: 20, 30: 1, 40: 0, 41: 40])

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
            ("7 (sh) S 1 7 7 0", ProcessID(1)), ("7 (a b) S) R 12 7", 12), ("7 ()) Z 345 1", 345),
            ("", 0), ("7 (sh)", 0), ("7 sh S 1", 0),
        ])
    func parents(status: String, expected: ProcessID) {
        #expect(ProcessTable.parent(in: Array(status.utf8)) == expected)
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
