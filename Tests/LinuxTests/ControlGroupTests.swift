import Bytes
import CLinux
import Testing

@testable import Linux

@Suite("Control groups")
struct ControlGroupTests {
    // MARK: - Finding it

    @Test(
        "The path of version 2 is found among those of version 1",
        arguments: [
            ("0::/\n", "/"), ("9:name=systemd:/\n4:memory:/a\n0::/b/c d\n", "/b/c d"),
            ("1:cpu:/\n", nil), ("", nil), ("0::", nil), ("10::/x\n", nil),
        ] as [(String, ByteString?)])
    func groupPath(content: String, expected: ByteString?) {
        #expect(ControlGroup.groupPath(in: Array(content.utf8)) == expected)
    }

    @Test("Mounts of version 2 are found by their type, with blanks in their places")
    func mounts() {
        let content = """
            31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
            40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
            42 31 0:38 /a\\040b /mnt/a\\134\\011b rw shared:1 master:2 - cgroup2 cgroup2 rw
            43 31 0:38 / /odd rw -
            44 31 - cgroup2 / /odd
            """
        #expect(
            ControlGroup.cgroupMounts(in: Array(content.utf8)) == [
                .init(root: "/", point: "/sys/fs/cgroup/unified"),
                .init(root: "/a b", point: "/mnt/a\\\tb"),
            ])
    }

    @Test(
        "A group is looked for below what is mounted, and not where it cannot be",
        arguments: [
            ("/", "/", "/m"), ("/", "/a/b", "/m/a/b"), ("/a", "/a", "/m"), ("/a", "/a/b", "/m/b"),
            ("/a", "/ab", nil), ("/a", "/", nil), ("/", "/..", nil), ("/", "/../x", nil),
            ("/..", "/", nil), ("/", "a", nil), ("/", "/a..b", "/m/a..b"),
        ] as [(ByteString, ByteString, ByteString?)])
    func mountedPath(root: ByteString, group: ByteString, expected: ByteString?) {
        #expect(ControlGroup.Mount(root: root, point: "/m").path(of: group) == expected)
    }

    // MARK: - Names and numbers

    @Test(
        "The name of a directory is safe and short",
        arguments: [
            ("web", "service-web"), ("log@a.b", "service-log@a.b"), ("..", "service-.."),
            ("a/b", "service-a%2fb"), ("a b\n%", "service-a%20b%0a%25"), ("é", "service-%c3%a9"),
            ("", "service-"),
        ] as [(ByteString, ByteString)])
    func names(name: ByteString, expected: ByteString) {
        #expect(ControlGroup.fileName(for: name) == expected)
    }

    @Test("Long names stay different")
    func longNames() {
        for byte in [UInt8(ascii: "a"), 0xff] {
            let names = (100...255).map { count -> ByteString in
                ControlGroup.fileName(for: ByteString([UInt8](repeating: byte, count: count)))
            }
            #expect(Set(names).count == names.count)
            #expect(names.allSatisfy { $0.count <= 200 })
        }
    }

    @Test("Numbers are found by their key")
    func values() {
        let content = Array("low 0\noom 3\noom_kill 17\noom_group_kill x\n".utf8)
        #expect(ControlGroup.value(of: "oom_kill", in: content) == 17)
        #expect(ControlGroup.value(of: "oom", in: content) == 3)
        #expect(ControlGroup.value(of: "oom_group_kill", in: content) == nil)
        #expect(ControlGroup.value(of: "oom_", in: content) == nil)
    }

    /// An ordinary directory in the place of a group.
    private func makePlace() throws(SystemError) -> ControlGroup {
        let path: ByteString =
            "/tmp/apus-groups-\(CurrentProcess.id)-\(UInt32.random(in: 0 ... .max))"
        try makeDirectory(path, permissions: 0o755)
        return ControlGroup(path)
    }

    @Test("Groups that were left behind are removed by their names, and no other")
    func idleGroups() throws {
        let parent = try makePlace()
        for name in ["limits-1", "limits-2", "web", "limit"] as [ByteString] {
            _ = try parent.makeGroup(name)
        }
        // As one that a process is in, it cannot be removed.
        let busy = try parent.makeGroup("limits-3").makeGroup("inner")
        parent.removeIdleGroups("limits-")
        let left: Set<ByteString> = ["service-limit", "service-limits-3", "service-web"]
        #expect(Set(try entries(of: parent.path)) == left)
        try busy.remove()
        try parent.remove()
    }

    @Test(
        "A group that was made in another tells so by its name",
        arguments: [
            ("/m/service-web-1", "/m"), ("/m/service-a/service-limits-7", "/m/service-a"),
            ("/m", nil),
            ("/m/system.slice", nil), ("/service-a", nil), ("service-a", nil), ("/m/service", nil),
        ] as [(ByteString, ByteString?)])
    func maker(path: ByteString, expected: ByteString?) {
        #expect(ControlGroup(path).maker == expected.map { ControlGroup($0) })
    }

    @Test("A controller that a group lacks is enabled in the one above first, if that made it")
    func controllersFromAbove() throws {
        let above = try makePlace()
        let group = try above.makeGroup("web")
        // A group without the file is one without the controller.
        _ = try openFile("\(above.path)/cgroup.subtree_control", .createNew)
        #expect(throws: SystemError.self) { try group.enable("pids") }
        #expect(
            try contents(of: "\(above.path)/cgroup.subtree_control", limit: 100)
                == Array("+pids".utf8))
        #expect(try above.hasControllersBelow())
        #expect(throws: SystemError.self) { try group.hasControllersBelow() }
        try removeFile("\(above.path)/cgroup.subtree_control")
        #expect(throws: SystemError("write", .noEntry, subject: group.path)) {
            try group.enable("pids")
        }
        try above.remove()
    }

    // MARK: - Real ones

    /// Whether groups can be made here. Containers mostly show them read-only.
    static let isAvailable: Bool = {
        do { return try ControlGroup.own().takesGroups } catch { return false }
    }()

    /// A group in this process's own, which is removed afterwards.
    private func withGroup(_ body: (ControlGroup) throws -> Void) throws {
        let name: ByteString = "test \(CurrentProcess.id) \(UInt32.random(in: 0 ... .max))"
        let group = try ControlGroup.own().makeGroup(name)
        defer {
            do {
                try group.kill()
                try waitFor { try !group.isPopulated() }
                try group.remove()
            } catch { Issue.record(error) }
        }
        try body(group)
    }

    private func waitFor(_ condition: () throws -> Bool) throws {
        let deadline = Instant.now.advanced(milliseconds: 10_000)
        while try !condition() {
            guard Instant.now < deadline else { throw SystemError("wait", .timedOut) }
            pause(until: Instant.now.advanced(milliseconds: 2))
        }
    }

    /// A process that only waits.
    private func startSleeper() throws -> ProcessID {
        try spawn(
            Invocation(
                "sleep", arguments: ["sleep", "600"],
                environment: Environment(["PATH=/usr/bin:/bin"])))
    }

    @Test(
        "Processes are put in, found, counted and killed with those in groups within",
        .enabled(if: ControlGroupTests.isAvailable))
    func processes() throws {
        try withGroup { group in
            #expect(try !group.isPopulated())
            #expect(group.processes() == [])
            let inner = try group.makeGroup("inner").makeGroup("innermost")
            #expect(try group.makeGroup("inner").makeGroup("innermost") == inner)
            let pids = [try startSleeper(), try startSleeper()]
            try group.add(pids[0])
            try inner.add(pids[1])
            #expect(Set(group.processes()) == Set(pids))
            #expect(group.processes(limit: 1).count == 1)
            #expect(inner.processes() == [pids[1]])
            #expect(try group.isPopulated())
            #expect(throws: SystemError("rmdir", Errno(16), subject: inner.path)) {
                try group.remove()
            }
            #expect(try group.kill())
            for pid in pids {
                #expect(try reap(pid, block: true) == .ended(pid, Linux.ExitStatus(raw: 9)))
            }
            try waitFor { try !group.isPopulated() }
        }
    }

    @Test(
        "A kernel that does not kill groups is done without",
        .enabled(if: ControlGroupTests.isAvailable))
    func olderKernel() throws {
        try withGroup { group in
            let pids = [try startSleeper(), try startSleeper()]
            for pid in pids { try group.add(pid) }
            let seam = Seam()
            seam.fail("open", with: .noEntry)
            _ = try seam.during { try group.kill() }
            #expect(
                seam.trace.first
                    == "open \(String(decoding: group.path.bytes, as: UTF8.self))/cgroup.kill")
            for pid in pids {
                #expect(try reap(pid, block: true) == .ended(pid, Linux.ExitStatus(raw: 9)))
            }
        }
    }

    @Test("A signal reaches each process", .enabled(if: ControlGroupTests.isAvailable))
    func signals() throws {
        try withGroup { group in
            let pid = try startSleeper()
            try group.add(pid)
            try group.signal(.terminate)
            #expect(try reap(pid, block: true) == .ended(pid, Linux.ExitStatus(raw: 15)))
        }
    }

    @Test(
        "The loop tells when the last process has gone", .enabled(if: ControlGroupTests.isAvailable)
    )
    func events() throws {
        try withGroup { group in
            let pid = try startSleeper()
            try group.add(pid)
            let file = try group.openEvents()
            let loop = try EventLoop()
            try loop.add(file.number, .exceptional, token: 3)
            var events: [EventLoop.Event] = []
            // What is new since the file was read.
            _ = try contents(of: file.number, limit: 4096)
            try loop.wait(until: Instant.now, &events)
            #expect(events.isEmpty)
            try group.kill()
            _ = try reap(pid, block: true)
            try loop.wait(until: Instant.now.advanced(milliseconds: 10_000), &events)
            #expect(events.map { $0.token } == [3])
            #expect(try !group.isPopulated())
        }
    }

    @Test(
        "Where memory is not controlled nothing is known of it, and a group that is not there is no group"
    )
    func missing() throws {
        try withGroup { group in
            let hasMemory = try exists("\(group.path)/memory.events")
            #expect(try group.outOfMemoryKills() == (hasMemory ? 0 : nil))
            #expect(throws: SystemError.self) { try group.enable("no-such-controller") }
        }
        let nowhere = ControlGroup("/nowhere")
        #expect(!nowhere.takesGroups)
        #expect(nowhere.processes() == [])
        #expect(throws: SystemError("mkdir", .noEntry, subject: "/nowhere/service-a")) {
            try nowhere.makeGroup("a")
        }
        #expect(throws: SystemError.self) { try nowhere.add(0) }
        #expect(throws: SystemError.self) { try nowhere.isPopulated() }
        #expect(throws: SystemError.self) { _ = try nowhere.open() }
    }

    @Test(
        "A process can be started in it by its descriptor",
        .enabled(if: ControlGroupTests.isAvailable))
    func opened() throws {
        try withGroup { group in
            let file = try group.open()
            // struct clone_args: flags, six that stay 0 but for the signal of the end, and the group last.
            var arguments = [UInt64](repeating: 0, count: 11)
            arguments[0] = 0x2_0000_0000
            arguments[4] = UInt64(SIGCHLD)
            arguments[10] = UInt64(file.number)
            let pid = arguments.withUnsafeBufferPointer {
                cl_syscall(Int(SYS_clone3), Int(bitPattern: $0.baseAddress), 88, 0, 0)
            }
            if pid == 0 { while true { _ = sleep(600) } }
            #expect(pid > 0)
            #expect(group.processes() == [ProcessID(pid)])
            try group.kill()
            _ = try reap(ProcessID(pid), block: true)
        }
    }
}
