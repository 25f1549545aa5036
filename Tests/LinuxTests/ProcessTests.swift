import Bytes
import CLinux
import Linux
import Testing

@Suite("Starting programs")
struct ProcessTests {
    let path = Environment(["PATH=/usr/bin:/bin"])

    /// Runs `script` in a shell with `setup`, its output in a pipe at `output` of the child.
    private func shell(_ script: ByteString, _ configure: (inout ChildSetup, Int32) -> Void) throws
        -> (text: String, status: Linux.ExitStatus)
    {
        let pipe = try Pipe()
        var setup = ChildSetup()
        configure(&setup, pipe.writer.number)
        let invocation = Invocation(
            "sh", arguments: ["sh", "-c", script], environment: path)
        let pid = try spawn(invocation, setup)
        let reader = pipe.reader.number
        try pipe.writer.close()
        var text = ""
        var block = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = try block.withUnsafeMutableBytes { try read(reader, into: $0) }
            if count == 0 { break }
            text += String(decoding: block[..<count], as: UTF8.self)
        }
        guard case .ended(_, let status) = try reap(pid, block: true) else {
            throw SystemError("waitpid", .noChild)
        }
        return (text, status)
    }

    @Test("The child's descriptors are copies of the ones asked for")
    func descriptors() throws {
        let result = try shell("echo out; echo third >&3; exit 7") { setup, pipe in
            setup.descriptors = [-1, pipe, -1, pipe]
        }
        #expect(result.text == "out\nthird\n")
        #expect(result.status.exitCode == 7)
        #expect(result.status.signal == nil)
    }

    @Test("A descriptor that is both a source and a target keeps its meaning for both")
    func overlappingDescriptors() throws {
        let result = try shell("readlink /proc/$$/fd/2; readlink /proc/$PPID/fd/1") { setup, pipe in
            setup.descriptors = [-1, pipe, 1]
        }
        let links = result.text.split(separator: "\n")
        #expect(links.count == 2)
        #expect(links[0] == links[1])
    }

    @Test("From a number on it has no descriptor, inherited or not, and this process keeps its own")
    func closeFrom() throws {
        let held = try Pipe()
        let high = try held.reader.duplicate(minimum: 5000)
        try high.keepOnExec()
        let lent = try descriptorAboveAll()
        #expect(lent.number > 5000)
        let inode = try status(of: high.number).identity.inode
        for number in [3, high.number] {
            let result = try shell("ls -l /proc/self/fd") { setup, pipe in
                setup.descriptors = [-1, pipe, pipe]
                setup.closeFrom = max(number, pipe + 1)
            }
            #expect(result.text.contains(" 1 -> pipe:"))
            #expect(!result.text.contains("pipe:[\(inode)]"))
            #expect(try status(of: high.number).identity.inode == inode)
        }
        let inheriting = try shell("ls -l /proc/self/fd") { setup, pipe in
            setup.descriptors = [-1, pipe]
            setup.closeFrom = high.number + 1
        }
        #expect(inheriting.text.contains(" \(high.number) -> pipe:[\(inode)]"))
    }

    @Test("Nothing else is inherited, no signal is blocked or ignored on the way")
    func cleanChild() throws {
        let held = try Pipe()
        try setDisposition(.pipe, ignored: true)
        defer { do { try setDisposition(.pipe, ignored: false) } catch {} }
        let result = try shell(
            "ls -l /proc/self/fd; grep -E 'SigBlk|SigIgn' /proc/self/status"
        ) { setup, pipe in
            setup.descriptors = [-1, pipe, pipe]
            setup.defaultSignals = SignalSet(.pipe)
        }
        let inode = try status(of: held.reader.number).identity.inode
        #expect(!result.text.contains("pipe:[\(inode)]"))
        #expect(result.text.contains("SigBlk:\t0000000000000000"))
        #expect(!result.text.contains("SigIgn:\t0000000000001000"))
        _ = consume held
    }

    @Test("A session of its own, another directory")
    func session() throws {
        let directory = try openFile("/usr", .place)
        let result = try shell("ps -o sid= -p $$ | tr -d ' '; echo $$; pwd") { setup, pipe in
            setup.descriptors = [-1, pipe]
            setup.newSession = true
            setup.directory = directory.number
        }
        let lines = result.text.split(separator: "\n")
        #expect(lines[0] == lines[1])
        #expect(lines[2] == "/usr")
    }

    @Test("A program that cannot be run leaves no child and says why")
    func failures() throws {
        func error(_ program: ByteString, _ setup: ChildSetup = ChildSetup()) -> SpawnError? {
            do throws(SpawnError) {
                _ = try spawn(
                    Invocation(program, arguments: [program], environment: path), setup)
                return nil
            } catch { return error }
        }
        #expect(error("no-such-program")?.cause.errno == .noEntry)
        #expect(error("/etc/passwd")?.cause.errno == .accessDenied)
        #expect(error("/usr")?.cause.errno == .accessDenied)
        // An empty name is looked for like any other, so it names the directories of PATH.
        #expect(error("")?.cause.errno == .accessDenied)
        #expect(error("true")?.isFork == nil)
        #expect(error("no-such-program")?.isFork == false)
        var setup = ChildSetup()
        setup.directory = 1_000_000
        #expect(error("true", setup)?.cause.call.description == "spawn")
    }

    @Test("A fork that fails is told from an exec that fails")
    func forkFailure() {
        let seam = Seam()
        seam.fail("spawn", with: .again)
        let error: SpawnError? = seam.during {
            do throws(SpawnError) {
                _ = try spawn(Invocation("true", arguments: ["true"], environment: path))
                return nil
            } catch { return error }
        }
        #expect(error?.isFork == true)
        #expect(error?.cause.errno == .again)
    }

    @Test("PATH is searched as daemontools does: an empty element is the current directory")
    func candidates() {
        func paths(_ program: ByteString, _ path: ByteString?) -> [ByteString] {
            let environment = Environment(path.map { ["PATH=\($0)"] } ?? [])
            return Invocation(program, arguments: [program], environment: environment).candidates
        }
        #expect(paths("x", "/a:/b") == ["/a/x", "/b/x"])
        #expect(paths("x", "/a::/b") == ["/a/x", "./x", "/b/x"])
        #expect(paths("x", "") == ["./x"])
        #expect(paths("x", nil) == ["/bin/x", "/usr/bin/x"])
        #expect(paths("./x", "/a") == ["./x"])
        #expect(paths("", "/a") == ["/a/"])
    }

    /// A child that makes this process its tracer, stops by each of `signals` and then exits 7.
    private func traced(stoppingBy signals: [Int32]) throws -> ProcessID {
        switch try forkProcess() {
        case .parent(let pid): return pid
        case .child:
            // The threads that run tests have signals blocked.
            var none: UInt64 = 0
            _ = cl_sigprocmask(SIG_SETMASK, 0, &none)
            _ = cl_syscall(Int(SYS_ptrace), 0, 0, 0, 0)
            for signal in signals {
                _ = kill(getpid(), signal)
                // What is not traced any more can ask again.
                _ = cl_syscall(Int(SYS_ptrace), 0, 0, 0, 0)
            }
            exitNow(7)
        }
    }

    @Test("A child that stops because it is traced has not ended: it goes on, and ends once")
    func tracedChild() throws {
        let pid = try traced(stoppingBy: [SIGWINCH, SIGURG, SIGTRAP])
        #expect(try reap(pid, block: true) == .ended(pid, Linux.ExitStatus(raw: 7 << 8)))
        #expect(try reap(pid, block: true) == .noChildren)
    }

    @Test("Without waiting, a resumed child is told from an ended one")
    func resumedChild() throws {
        let pid = try traced(stoppingBy: [SIGWINCH])
        var results: [WaitResult] = []
        while results.last != .ended(pid, Linux.ExitStatus(raw: 7 << 8)) {
            let result = try reap(pid)
            if result == .noChildren { break }
            if result != .nothingYet { results.append(result) }
        }
        #expect(results == [.resumed(pid), .ended(pid, Linux.ExitStatus(raw: 7 << 8))])
    }

    @Test("A traced child gets the signal that stopped it")
    func signalOfTracedChild() throws {
        let pid = try traced(stoppingBy: [SIGTERM])
        #expect(try reap(pid, block: true) == .ended(pid, Linux.ExitStatus(raw: SIGTERM)))
    }
}
