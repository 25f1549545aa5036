import Bytes
import Testing

@testable import Linux

@Suite("Starting one program again and again")
struct ProgramStarterTests {
    private func program(_ words: [ByteString], _ variables: [ByteString] = []) -> PreparedProgram {
        let environment = Environment(["PATH=/nowhere:/etc:/usr/bin:/bin"] + variables)
        return PreparedProgram(Invocation(command: words, environment: environment))
    }

    /// What a child wrote on the pipe that is its standard output and error, and how it ended. NULs
    /// are written as bars.
    private func run(
        _ starter: ProgramStarter, edits: String = "", announcement: String = ""
    ) throws -> (text: String, status: Linux.ExitStatus, pid: ProcessID) {
        let pipe = try Pipe()
        let reader = pipe.reader.number
        var setup = ChildSetup()
        setup.descriptors = [-1, pipe.writer.number, pipe.writer.number]
        let bytes = { (text: String) in text.utf8.map { $0 == UInt8(ascii: "|") ? 0 : $0 } }
        let result = try starter.start(
            edits: bytes(edits), setup: setup, announcement: bytes(announcement))
        try pipe.writer.close()
        var text: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = try block.withUnsafeMutableBytes { try read(reader, into: $0) }
            if count == 0 { break }
            text += block[..<count]
        }
        guard case .running(let pid) = result,
            case .ended(_, let status) = try reap(pid, block: true)
        else { throw SystemError("waitpid", .noChild) }
        return (String(decoding: text, as: UTF8.self), status, pid)
    }

    @Test("The environment is the inherited one with the edits, in pathexec's order")
    func environment() throws {
        let starter = ProgramStarter(program(["env"], ["A=1", "B=2", "C=3", "D=4"]))
        let path = "PATH=/nowhere:/etc:/usr/bin:/bin\n"
        #expect(try run(starter).text == path + "A=1\nB=2\nC=3\nD=4\n")
        #expect(try run(starter, edits: "E=5|A=6|").text == path + "E=5\nB=2\nC=3\nD=4\nA=6\n")
        #expect(try run(starter, edits: "B|NONE|AA=x|").text == path + "A=1\nD=4\nC=3\nAA=x\n")
        #expect(try run(starter, edits: "A=1=2|=empty|").text.hasSuffix("A=1=2\n=empty\n"))
    }

    @Test("The announcement comes first, with the process id in it, more than once if wanted")
    func announcement() throws {
        let starter = ProgramStarter(program(["sh", "-c", "echo $$"]))
        for _ in 0..<50 {
            let result = try run(starter, announcement: "pid | and |\n")
            #expect(result.text == "pid \(result.pid) and \(result.pid)\n\(result.pid)\n")
            #expect(result.status == Linux.ExitStatus(raw: 0))
            #expect(starter.failure(of: result.pid) == nil)
        }
    }

    @Test("A program that cannot be run leaves its errno to be asked for, once")
    func failures() throws {
        for (word, errno) in [
            ("/no/such", .noEntry), ("/etc", .accessDenied), ("./none/x", .noEntry),
        ] as [(ByteString, Errno)] {
            let starter = ProgramStarter(program([word]))
            for _ in 0..<40 {
                let result = try run(starter, announcement: "here\n")
                #expect(result.text == "here\n")
                #expect(result.status.exitCode == 111)
                #expect(starter.failure(of: result.pid + 1) == nil)
                #expect(starter.failure(of: result.pid) == errno)
                #expect(starter.failure(of: result.pid) == nil)
            }
        }
    }

    @Test(
        "A name that the search finds nowhere, or only as something else, fails in the search's way",
        arguments: [
            ("no-such-program", .noEntry), ("group", .accessDenied), ("", .accessDenied),
        ] as [(ByteString, Errno)])
    func search(word: ByteString, errno: Errno) throws {
        let starter = ProgramStarter(program([word]))
        let result = try run(starter)
        #expect(result.status.exitCode == 111)
        #expect(starter.failure(of: result.pid) == errno)
    }

    @Test("A child's failures never show in this process's errno")
    func errnoIsOurs() throws {
        let starter = ProgramStarter(program(["no-such-program"]), count: 1)
        for _ in 0..<20 {
            #expect(throws: SystemError.self) { try status(of: -1) }
            let result = try starter.start(edits: [], setup: ChildSetup(), announcement: [])
            guard case .running(let pid) = result else {
                Issue.record("was waited for")
                return
            }
            _ = try reap(pid, block: true)
            #expect(Errno.last == .badDescriptor)
            #expect(starter.failure(of: pid) == .noEntry)
        }
    }

    @Test("What does not fit a slot, or comes while all are taken, starts all the same")
    func overflow() throws {
        let large = ByteString([UInt8](repeating: UInt8(ascii: "x"), count: 60_000))
        let starter = ProgramStarter(program(["sh", "-c", "echo ${#A}"]))
        #expect(
            try run(starter, edits: "A=\(String(decoding: large.bytes, as: UTF8.self))|").text
                == "60000\n")
        let one = ProgramStarter(program(["sh", "-c", "exit 5"]), count: 1)
        var pids: [ProcessID] = []
        for _ in 0..<20 {
            let result = try one.start(edits: [], setup: ChildSetup(), announcement: [])
            guard case .running(let pid) = result else { continue }
            pids.append(pid)
        }
        #expect(pids.count == 20)
        for pid in pids {
            let ended = try reap(pid, block: true)
            #expect(ended == .ended(pid, Linux.ExitStatus(raw: 5 << 8)))
        }
    }

    @Test("A kernel without room for a process is an error, and the slot is free again")
    func noProcess() throws {
        let starter = ProgramStarter(program(["true"]), count: 1)
        let seam = Seam()
        seam.fail("spawn", with: .again)
        #expect(throws: SystemError.self) {
            try seam.during {
                try starter.start(edits: [], setup: ChildSetup(), announcement: [])
            }
        }
        #expect(try run(starter).status == Linux.ExitStatus(raw: 0))
    }

    @Test("A child that only ends says so and ends with its code")
    func ending() throws {
        guard case .running(let pid) = try startEnding(exitCode: 100, announcement: []) else {
            Issue.record("not started")
            return
        }
        #expect(try reap(pid, block: true) == .ended(pid, Linux.ExitStatus(raw: 100 << 8)))
    }
}
