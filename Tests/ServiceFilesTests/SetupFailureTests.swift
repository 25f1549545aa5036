import Bytes
import Commands
import Formats
import Linux
import ServiceFiles
import Testing

/// Every system call of a service's set-up fails in turn.
@Suite("Set-up failures") struct SetupFailureTests {
    struct Step: CustomTestStringConvertible {
        let call: String
        let skip: Int
        let text: ByteString
        var testDescription: String { "\(call) after \(skip)" }
    }

    /// The calls of `supervise`, and what its failure says of the service.
    static let steps: [Step] = [
        Step(call: "mkdir", skip: 0, text: "unable to acquire web/supervise/lock"),
        Step(call: "open", skip: 0, text: "unable to acquire web/supervise/lock"),
        Step(call: "open", skip: 1, text: "unable to acquire web/supervise/lock"),
        Step(call: "fstat", skip: 0, text: "unable to acquire web/supervise/lock"),
        Step(call: "flock", skip: 0, text: "unable to acquire web/supervise/lock"),
        Step(call: "mkfifo", skip: 0, text: "unable to create web/supervise/control"),
        Step(call: "mkfifo", skip: 1, text: "unable to create web/supervise/ok"),
        Step(call: "open", skip: 2, text: "unable to acquire web/supervise/lock"),
        Step(call: "open", skip: 3, text: "unable to read web/supervise/control"),
        Step(call: "fstat", skip: 1, text: "unable to read web/supervise/control"),
    ]

    private let status = StatusRecord(
        since: TAI64N(unixSeconds: 0, nanoseconds: 0), pid: 0, isPaused: false,
        want: StatusRecord.wantsDown)

    private func open(_ path: ByteString) throws -> ServiceDirectory {
        try ServiceDirectory(
            try openFile(path, .place), name: "web", states: nowhere, fallback: .none)
    }

    @Test("Each has its line, leaves nothing open, and passes", arguments: steps)
    func oneLine(step: Step) throws {
        let scratch = try Scratch()
        let place = try openFile(scratch.path, .place)
        let seam = Seam()
        seam.fail(step.call, with: .noSpace, skip: step.skip)
        let copy = try place.duplicate().release()
        do {
            try seam.during {
                _ = try ServiceDirectory(
                    Descriptor(owning: copy), name: "web", states: nowhere, fallback: .none)
            }
            Issue.record("it succeeded")
        } catch let error as Failure {
            #expect(error.text == step.text)
            #expect(error.errno == .noSpace)
            #expect(error.exitCode == 111)
        }
        #expect(try openBelow(scratch.path) == 1)
        _ = try open(scratch.path)
    }

    @Test("Whether it is down must be known")
    func down() throws {
        let scratch = try Scratch()
        let place = try openFile(scratch.path, .place)
        #expect(try !ServiceDirectory.isDown(place, name: "web"))
        let seam = Seam()
        seam.fail("stat", with: .noMemory)
        #expect(throws: Failure.self) {
            try seam.during { try ServiceDirectory.isDown(place, name: "web") }
        }
        _ = try openFile("\(scratch.path)/down", .truncate)
        #expect(try ServiceDirectory.isDown(place, name: "web"))
    }

    @Test("A status file that cannot be written is said and does no other harm")
    func unwritten() throws {
        let scratch = try Scratch()
        var directory = try open(scratch.path)
        for (call, skip) in [("open", 0), ("write", 0)] as [(String, Int)] {
            let seam = Seam()
            seam.fail(call, with: .notPermitted, skip: skip)
            #expect(throws: Failure.self) {
                try seam.during { try directory.writeFirst(status, name: "web") }
            }
        }
        try directory.writeFirst(status, name: "web")
        try directory.announce()
        #expect(directory.control != nil)
    }

    @Test("A service needs five descriptors")
    func descriptors() throws {
        let scratch = try Scratch()
        var directory = try open(scratch.path)
        try directory.writeFirst(status, name: "web")
        try directory.announce()
        #expect(try openBelow(scratch.path) == 5)
        #expect(directory.control != nil)
    }

    /// How many descriptors of this process are open below the directory.
    private func openBelow(_ path: ByteString) throws -> Int {
        try entries(of: "/proc/self/fd").count { name in
            do throws(SystemError) {
                return try readLink("/proc/self/fd/\(name)").hasPrefix(path)
            } catch { return false }
        }
    }
}
