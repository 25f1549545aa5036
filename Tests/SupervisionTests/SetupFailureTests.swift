import Bytes
import Commands
import Linux
import Testing

@testable import Supervision

/// Every system call of a service's set-up fails in turn.
@Suite("Set-up failures") struct SetupFailureTests {
    struct Step: CustomTestStringConvertible {
        let call: String
        let skip: Int
        let text: ByteString
        var testDescription: String { "\(call) after \(skip)" }
    }

    /// The calls of `supervise`, and what its failure says of the directory S.
    static let steps: [Step] = [
        Step(call: "open", skip: 0, text: "unable to chdir to S"),
        Step(call: "stat", skip: 0, text: "unable to stat S/down"),
        Step(call: "open", skip: 1, text: "unable to acquire S/supervise/lock"),
        Step(call: "mkdir", skip: 0, text: "unable to acquire S/supervise/lock"),
        Step(call: "open", skip: 2, text: "unable to acquire S/supervise/lock"),
        Step(call: "open", skip: 3, text: "unable to acquire S/supervise/lock"),
        Step(call: "fstat", skip: 0, text: "unable to acquire S/supervise/lock"),
        Step(call: "flock", skip: 0, text: "unable to acquire S/supervise/lock"),
        Step(call: "mkfifo", skip: 0, text: "unable to create S/supervise/control"),
        Step(call: "mkfifo", skip: 1, text: "unable to create S/supervise/ok"),
        Step(call: "open", skip: 4, text: "unable to read S/supervise/control"),
        Step(call: "fstat", skip: 1, text: "unable to read S/supervise/control"),
        Step(call: "epoll_ctl", skip: 0, text: "unable to watch S/supervise/control"),
    ]

    private func text(_ template: ByteString, _ path: ByteString) -> ByteString {
        var result: ByteString = ""
        for byte in template.bytes {
            if byte == UInt8(ascii: "S") { result.append(path) } else { result.append([byte]) }
        }
        return result
    }

    @Test("Each has its line, leaves nothing open, and passes", arguments: steps)
    func oneLine(step: Step) throws {
        let scratch = try Scratch()
        try scratch.service("s")
        let path: ByteString = "\(scratch.path)/s"
        try scratch.withSupervisor { supervisor in
            let seam = Seam()
            seam.fail(step.call, with: .noSpace, skip: step.skip)
            seam.during {
                do throws(Failure) {
                    try supervisor.supervise(directory: path)
                    Issue.record("it succeeded")
                } catch {
                    #expect(error.text == text(step.text, path))
                    #expect(error.errno == .noSpace)
                    #expect(error.exitCode == 111)
                }
            }
            #expect(supervisor.isEmpty)
            #expect(try scratch.openDescriptors == 0)
            try scratch.supervise(path, with: supervisor)
            #expect(!supervisor.isEmpty)
        }
        #expect(try scratch.openDescriptors == 0)
    }

    @Test("A status file that cannot be written does not stop supervision")
    func status() throws {
        let scratch = try Scratch()
        for (call, skip) in [("open", 5), ("write", 0)] as [(StaticString, Int)] {
            // A directory for each: the lock of the last may be held by a child of another test.
            try scratch.service(ByteString(call))
            try scratch.withSupervisor { supervisor in
                let seam = Seam()
                seam.fail(call.description, with: .noSpace, skip: skip)
                try seam.during {
                    try supervisor.supervise(directory: "\(scratch.path)/\(call)")
                }
                #expect(supervisor.services.count == 1)
                #expect(try scratch.openDescriptors == 5)
            }
        }
    }

    @Test(
        "A service whose set-up fails disturbs no other and is tried again",
        arguments: [
            ("mkdir", 0, 1), ("open", 5, 1), ("flock", 0, 1), ("mkfifo", 0, 1), ("mkfifo", 1, 1),
            ("pipe2", 0, 2), ("epoll_ctl", 1, 1), ("stat", 0, 2),
        ])
    func others(call: String, skip: Int, missing: Int) throws {
        let scratch = try Scratch()
        for name in ["a", "b", "c"] as [ByteString] { try scratch.service(name, logged: true) }
        try scratch.withSupervisor { supervisor in
            let seam = Seam()
            seam.fail(call, with: .tooManyDescriptors, skip: skip)
            try seam.during { try supervisor.scan(directory: scratch.path) }
            #expect(supervisor.supervised.count == 6 - missing)
            #expect(supervisor.scanner?.due != nil)
            try scratch.onceUnlocked {
                supervisor.rescan()
                return supervisor.supervised.count == 6
            }
            #expect(supervisor.scanner?.due == nil)
            supervisor.stop()
            #expect(supervisor.isEmpty)
            #expect(try scratch.openDescriptors <= 1, "more than the scan directory")
        }
    }

    @Test(
        "Without inotify it looks every five seconds",
        arguments: ["inotify_init", "inotify_add_watch"])
    func withoutInotify(call: String) throws {
        let scratch = try Scratch()
        try scratch.withSupervisor { supervisor in
            let seam = Seam()
            seam.fail(call, with: .tooManyDescriptors)
            try seam.during { try supervisor.scan(directory: scratch.path) }
            #expect(supervisor.scanner?.due != nil)
            #expect(supervisor.scanner?.watchNumber == nil)
        }
    }

    @Test("A directory that cannot be read is read later")
    func unreadable() throws {
        let scratch = try Scratch()
        try scratch.service("a")
        try scratch.withSupervisor { supervisor in
            let seam = Seam()
            seam.fail("open", with: .tooManyFiles, skip: 1)
            try seam.during { try supervisor.scan(directory: scratch.path) }
            #expect(supervisor.isEmpty)
            #expect(supervisor.scanner?.due != nil)
            supervisor.rescan()
            #expect(supervisor.supervised.count == 1)
        }
    }

    @Test(
        "The supervisor's own set-up throws",
        arguments: [
            "sigprocmask", "sigaction", "signalfd", "getrlimit", "epoll_create", "epoll_ctl",
        ])
    func own(call: String) throws {
        let scratch = try Scratch()
        let seam = Seam()
        seam.fail(call, with: .noMemory)
        let before = try SignalSet(.child).block()
        seam.during {
            do throws(SystemError) {
                let configuration = Supervisor.Configuration(signals: SignalSet(.child))
                _ = try Supervisor(configuration, messages: Messages(program: "test"))
                Issue.record("it succeeded")
            } catch {
                #expect(error.errno == .noMemory)
            }
        }
        _ = try before.block()
        #expect(try scratch.openDescriptors == 0)
    }
}
