import Bytes
import Commands
import Linux
import Testing

@testable import Confinement

@Suite("Confinement options")
struct ConfinementOptionsTests {
    /// A seam that keeps all that would change the process of the tests from happening.
    private func harmless() -> Seam {
        let seam = Seam()
        seam.pretend(
            "setrlimit", "cap_drop_bound", "keepcaps", "setgroups", "setgid", "setuid",
            "cap_set_proc", "cap_reset_ambient", "cap_set_ambient", "cap_set_secbits",
            "no_new_privs", "seccomp", "setpriority", "chroot", "chdir", "landlock_restrict_self")
        return seam
    }

    /// Everything at once, as far as it can be had by any user.
    private func everything() throws -> ConfinementOptions {
        var options = ConfinementOptions()
        options.limits = [
            (.openFiles, .soft(100)), (.addressSpace, .soft(15 << 20)), (.processes, .softToHard),
        ]
        try options.take(.user, "12345:23456")
        try options.take(.nice, "5")
        try options.take(.chroot, "/")
        try options.take(.landlock, "abi=any,ro=/")
        try options.take(.noRoot, "")
        try options.take(.bounding, "none")
        try options.take(.caps, "none")
        try options.take(.noNewPrivileges, "")
        try options.take(.seccomp, "~@mount")
        return options
    }

    @Test(
        "Limits of a control group are numbers, bytes and processors",
        arguments: [
            ("pids=64", [("pids", 64)]), ("memory=4096", [("memory", 4096)]),
            ("memory=2k", [("memory", 2048)]),
            ("memory=3M,pids=1", [("memory", 3 << 20), ("pids", 1)]),
            ("memory=1G", [("memory", 1 << 30)]), ("cpu=1", [("cpu", 100_000)]),
            ("cpu=0.5", [("cpu", 50_000)]), ("cpu=1.25", [("cpu", 125_000)]),
            ("cpu=0.05", [("cpu", 5000)]), ("pids=1,pids=2", [("pids", 2)]),
        ] as [(ByteString, [(String, Int)])])
    func groupLimits(text: ByteString, expected: [(String, Int)]) throws {
        var options = ConfinementOptions()
        try options.take(.cgroup, text)
        let found = options.groupLimits.limits.map { ("\($0.resource.name)", $0.value) }
        #expect(found.map { $0.0 } == expected.map { $0.0 })
        #expect(found.map { $0.1 } == expected.map { $0.1 })
    }

    @Test(
        "What is no limit of a control group is a mistake",
        arguments: [
            "", "pids", "pids=", "pids=0", "pids=x", "pids=5000000", "disk=1", "memory=0",
            "memory=K",
            "memory=1T", "memory=9000000000000G", "memory=-1", "cpu=0", "cpu=0.00", "cpu=1.",
            "cpu=.5",
            "cpu=1.234", "cpu=1e3", "pids=1,", "cpu=1..5",
        ] as [ByteString])
    func badGroupLimits(text: ByteString) {
        var options = ConfinementOptions()
        do throws(Failure) {
            try options.take(.cgroup, text)
            Issue.record("it was taken")
        } catch { #expect(error.exitCode == 100) }
    }

    @Test("An empty set of options changes nothing and calls nothing")
    func nothing() throws {
        let seam = Seam()
        try seam.during { try ConfinementOptions().apply() }
        #expect(seam.trace.isEmpty)
    }

    @Test("The order is that of the documentation of apply")
    func order() throws {
        let seam = harmless()
        try seam.during { try everything().apply() }
        let changes: Set = [
            "setrlimit", "cap_drop_bound", "setgroups", "setgid", "setuid", "cap_set_proc",
            "no_new_privs", "seccomp", "cap_reset_ambient", "cap_set_secbits", "setpriority",
            "chdir /", "chroot", "open /", "landlock_restrict_self", "keepcaps",
        ]
        var order: [String] = []
        for call in seam.trace where changes.contains(call) && order.last != call {
            order.append(call)
        }
        let hasBounding = try !CapabilityState.current().bounding.isEmpty
        let leavesRoot = CurrentProcess.effectiveUser == 0
        let hasLandlock = try LandlockRuleset.version() > 0
        let now = try CapabilityState.current()
        let scaffold = now.permitted.contains(.changeSets)
        #expect(
            order == ["setpriority", "setrlimit", "chdir /", "chroot"]
                + (hasLandlock ? ["open /"] : []) + (hasBounding ? ["cap_drop_bound"] : [])
                + (leavesRoot && scaffold ? ["keepcaps"] : [])
                + ["setgroups", "setgid", "setuid", "cap_set_proc"]
                + (leavesRoot ? ["cap_reset_ambient"] : []) + ["cap_set_secbits"]
                + (scaffold ? ["cap_set_proc"] : []) + ["setrlimit", "no_new_privs"]
                + (hasLandlock ? ["landlock_restrict_self"] : []) + ["seccomp"])
    }

    @Test("Whatever call fails, the rest is not done and the program does not start")
    func failClosed() throws {
        let options = try everything()
        let complete = harmless()
        try complete.during { try options.apply() }
        #expect(complete.trace.count > 20)
        for (index, call) in complete.trace.enumerated() {
            func name(_ call: String) -> Substring { call.prefix { $0 != " " } }
            // Of a row of the same calls the first, as good as any, and the last.
            let neighbours = [index - 1, index + 1].filter(complete.trace.indices.contains)
            if index % 50 != 0 && neighbours.allSatisfy({ complete.trace[$0] == call }) { continue }
            let before = complete.trace[..<index].count { name($0) == name(call) }
            let seam = harmless()
            seam.fail(String(name(call)), with: .noMemory, skip: before)
            #expect(throws: Failure.self, "\(call)") {
                try seam.during {
                    try options.become(
                        Invocation("true", arguments: ["true"], environment: Environment()))
                }
            }
            #expect(seam.trace == Array(complete.trace[...index]), "\(call)")
        }
    }

    @Test("Failures say what could not be done, exit code 111")
    func texts() throws {
        let texts: [(String, ByteString)] = [
            ("getrlimit", "getrlimit failed"), ("setrlimit", "setrlimit failed"),
            ("setgroups", "unable to setgid"), ("setgid", "unable to setgid"),
            ("setuid", "unable to setuid"), ("cap_set_proc", "unable to set capabilities"),
            ("no_new_privs", "unable to set no_new_privs"),
            ("seccomp", "unable to install the system call filter"),
            ("cap_get_proc", "unable to read capabilities"),
            ("cap_set_secbits", "unable to set securebits"),
            ("setpriority", "unable to set the nice value"),
            ("chroot", "unable to change the root directory to /"),
            ("landlock_create_ruleset", "unable to use Landlock"),
        ]
        for (call, text) in texts {
            let seam = harmless()
            seam.fail(call, with: .noMemory)
            #expect {
                try seam.during { try everything().apply() }
            } throws: {
                guard let failure = $0 as? Failure else { return false }
                return failure.text == text && failure.errno == .noMemory
                    && failure.exitCode == 111
            }
        }
    }

    @Test("A soft limit is never more than the hard one")
    func clamped() throws {
        let hard = try Resource.openFiles.limits().hard
        var options = ConfinementOptions()
        options.limits = [(.openFiles, .soft(hard)), (.openFiles, .softToHard)]
        if hard < .max { options.limits.append((.openFiles, .soft(hard + 1))) }
        try options.apply()
        #expect(try Resource.openFiles.limits() == ResourceLimits(soft: hard, hard: hard))
    }

    @Test("A limit on memory that this process itself could run into is set only before an exec")
    func tightMemory() throws {
        func mustExec(_ limit: LimitChange, _ resource: Resource) throws -> Bool {
            var options = ConfinementOptions()
            options.limits = [(resource, limit)]
            let outcome = try harmless().during {
                try options.become(
                    Invocation("true", arguments: ["true"], environment: Environment()))
            }
            guard case .become(let invocation) = outcome else { return false }
            return invocation.mustExec
        }
        #expect(try mustExec(.soft(1_000_000), .addressSpace))
        #expect(try mustExec(.soft(0), .stack))
        #expect(try mustExec(.exactly(soft: nil, hard: 1_000_000), .data))
        #expect(try !mustExec(.soft(1 << 30), .data))
        #expect(try !mustExec(.exactly(soft: nil, hard: 1 << 30), .data))
        #expect(try !mustExec(.soft(10), .openFiles))
    }

    @Test("One policy is enough")
    func twoPolicies() throws {
        var options = ConfinementOptions()
        try options.take(.seccomp, "~@mount")
        #expect { try options.take(.seccomp, "~@swap") } throws: {
            ($0 as? Failure)?.exitCode == 100
        }
    }

    @Test("Options with a prefix are the same options, told apart by their cases")
    func prefixed() throws {
        enum Option {
            case own(ConfinementOption)
            case child(ConfinementOption)
            case other
        }
        let words: [ByteString] = ["p", "--child-bounding=none", "--no-new-privs", "-x"]
        var reader = OptionReader(
            words,
            ConfinementOption.names.map { $0.mapped { Option.own($0) } }
                + ConfinementOption.names.map { $0.mapped(prefix: "child-") { .child($0) } }
                + [OptionName("x", .other)], Messages(program: "p"))
        var (own, child) = (ConfinementOptions(), ConfinementOptions())
        var others = 0
        while case .option(let option, let value)? = reader.next() {
            switch option {
            case .own(let option): try own.take(option, value)
            case .child(let option): try child.take(option, value)
            case .other: others += 1
            }
        }
        #expect(own.noNewPrivileges && own.capabilities.isEmpty)
        #expect(!child.noNewPrivileges)
        #expect(try child.capabilities.bounding == CapabilityList("none"))
        #expect(others == 1)
    }

    @Test("What changes the exec's outcome, or its way, gets an exec")
    func execs() throws {
        func mustExec(_ word: ConfinementOption, _ value: ByteString) throws -> Bool {
            var options = ConfinementOptions()
            try options.take(word, value)
            let outcome = try harmless().during {
                try options.become(
                    Invocation("true", arguments: ["true"], environment: Environment()))
            }
            guard case .become(let invocation) = outcome else { return false }
            return invocation.mustExec
        }
        #expect(try mustExec(.chroot, "/"))
        #expect(try mustExec(.landlock, "abi=any,ro=/"))
        #expect(try mustExec(.securebits, "no_setuid_fixup"))
        #expect(try mustExec(.seccomp, "~@mount"))
        #expect(try mustExec(.bounding, "all"))
        #expect(try !mustExec(.limit, "nofile=10"))
        #expect(try !mustExec(.nice, "19"))
        #expect(try !mustExec(.noNewPrivileges, ""))
        #expect(try !mustExec(.group, "0"))
    }

    @Test(
        "A value that makes no sense is a mistake, exit code 100",
        arguments: [
            (
                .user,
                [
                    "", "4294967295:1", "1:4294967295", "4294967296:1", "-1:1", "1:-1", "+1:1",
                    "1x:1",
                    "1:1x", "1 :1", "1:", ":0", "-", "-root", "99999999999999999999:1", "root:",
                ]
            ),
            (.group, ["", "4294967295", "4294967296", "-1", "-0", "+1", "1x", "0x1"]),
            (.groups, ["", "0,", ",0", "4294967296", "0,-1", "0,1x"]),
            (.umask, ["", "8", "0o22", "1000", "00777", "-1", "022 "]),
            (.nice, ["", "20", "-21", "5x", "--5", "+5"]),
            (.outOfMemoryScore, ["", "1001", "-1001", "9999999999999999999999"]),
            (
                .limit,
                [
                    "nofile", "nofile=", "nofile=:", "nofile=2:1", "nofile=1:2:3", "=5", "cpus=1",
                    "nofile=unlimited:1", "nofile=-1", "NOFILE=1", "nofile=1k", " nofile=1",
                ]
            ),
            (.securebits, ["", "noroot,", "root", "keep_caps", "-", "NOROOT", "-noroot"]),
            (
                .landlock,
                [
                    "", "ro", "ro=", "ro=/,", "rx=/", "abi=0", "abi=7", "abi=", "bind=65536",
                    "bind=http", "connect=-1", "scope=all", "=/", "ro=/ rw=/tmp,x",
                ]
            ),
        ] as [(ConfinementOption, [ByteString])])
    func nonsense(_ word: ConfinementOption, _ values: [ByteString]) {
        for value in values {
            var options = ConfinementOptions()
            #expect("\(word) \(value.bytes)") { try options.take(word, value) } throws: {
                ($0 as? Failure)?.exitCode == 100
            }
        }
    }
}

@Suite("Limits")
struct LimitTests {
    private func change(_ text: ByteString) throws -> (Resource, LimitChange) {
        try LimitChange.parse(text)
    }

    @Test("Soft and hard values as prlimit has them")
    func pairs() throws {
        let now = ResourceLimits(soft: 100, hard: 200)
        let cases: [(ByteString, UInt64, UInt64)] = [
            ("nofile=50", 50, 50), ("nofile=50:", 50, 200), ("nofile=:150", 100, 150),
            ("nofile=:50", 50, 50), ("nofile=50:60", 50, 60), ("nofile=unlimited", .max, .max),
            ("nofile=:unlimited", 100, .max), ("nofile=0:unlimited", 0, .max),
        ]
        for (text, soft, hard) in cases {
            let (resource, change) = try change(text)
            #expect(resource == .openFiles)
            #expect(change.applied(to: now) == ResourceLimits(soft: soft, hard: hard), "\(text)")
        }
    }

    @Test("The nearest limit is the one wanted where it can be had, else the most that can be had")
    func nearest() throws {
        let now = try Resource.openFiles.limits()
        let (resource, change) = try LimitChange.parse("nofile=unlimited", mayBeNearest: true)
        let system = try #require(
            parseDecimal(
                ByteString(try contents(of: "/proc/sys/fs/nr_open", limit: 64).dropLast()),
                within: 0...Int.max))
        func attempts(_ refusals: Int) throws -> [String] {
            let seam = Seam()
            seam.pretend("setrlimit")
            seam.fail("setrlimit", with: .notPermitted, times: refusals)
            try seam.during { try change.apply(to: resource) }
            return seam.trace.filter { $0 == "setrlimit" }
        }
        #expect(try attempts(0).count == 1)
        #expect(try attempts(1).count == 2)
        if now.hard < UInt64(system) { #expect(try attempts(2).count == 3) }
        let (_, lower) = try LimitChange.parse("nofile=300:", mayBeNearest: true)
        #expect(
            lower.applied(to: ResourceLimits(soft: 100, hard: 200))
                == ResourceLimits(soft: 200, hard: 200))
    }

    @Test("Every resource has its name in prlimit and its number in the kernel")
    func names() throws {
        let names: [ByteString] = [
            "cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile", "memlock", "as",
            "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime",
        ]
        for (number, name) in names.enumerated() {
            let resource = try #require(Resource(named: name))
            #expect(resource.rawValue == Int32(number) && resource.name == name)
        }
        #expect(Resource.allCases.count == names.count)
        #expect(Resource(named: "") == nil && Resource(named: "cpu fsize") == nil)
    }
}

@Suite("Whom to become")
struct CredentialsTests {
    private func credentials(_ words: [(ConfinementOption, ByteString)]) throws -> Credentials {
        var options = ConfinementOptions()
        for (word, value) in words { try options.take(word, value) }
        return options.credentials
    }

    @Test("The groups are the group alone, those given, none, or those of the database")
    func groups() throws {
        #expect(try Credentials().supplementaryGroups() == nil)
        let plain = try credentials([(.user, "5:6")])
        #expect(plain.user == 5 && plain.group == 6)
        #expect(try plain.supplementaryGroups() == [6])
        #expect(try credentials([(.user, "5"), (.group, "7")]).supplementaryGroups() == [7])
        #expect(try credentials([(.group, "7")]).supplementaryGroups() == [7])
        #expect(try credentials([(.groups, "8,9")]).supplementaryGroups() == [8, 9])
        #expect(try credentials([(.groups, "none"), (.user, "5:6")]).supplementaryGroups() == [])
        let root = try credentials([(.user, "root"), (.groups, "database")])
        #expect(root.user == 0 && root.group == 0)
        #expect(try root.supplementaryGroups()?.contains(0) == true)
        #expect(try credentials([(.group, "5"), (.user, "root")]).group == 5)
    }

    @Test("keep leaves the groups there are, whoever the user becomes")
    func keptGroups() throws {
        let kept = try credentials([(.user, "5:6"), (.groups, "keep")])
        #expect(kept.user == 5 && kept.group == 6)
        #expect(try kept.supplementaryGroups() == nil)
    }

    @Test("Groups that the process is in already need no privilege, others do")
    func groupsThereAre() throws {
        let now = try CurrentProcess.supplementaryGroups()
        func isRefused(_ groups: [UInt32], primary: UInt32) -> Bool {
            let seam = Seam()
            seam.fail("setgroups", with: .notPermitted)
            seam.pretend("setgid")
            do {
                try seam.during { try CurrentProcess.setGroups(groups, primary: primary) }
            } catch { return (error as? SystemError)?.errno == .notPermitted }
            return false
        }
        let group = CurrentProcess.group
        #expect(!isRefused(now, primary: group))
        #expect(!isRefused(now + [group], primary: group))
        #expect(!isRefused(now.reversed() + now, primary: group))
        #expect(isRefused(now + [4_000_000_000], primary: group))
        if let other = now.first(where: { $0 != group }) {
            #expect(isRefused(now.filter { $0 != other }, primary: group))
        }
    }

    @Test("The variables are those of the account, by name and by number")
    func variables() throws {
        for words: [(ConfinementOption, ByteString)] in [
            [(.user, "root"), (.userEnvironment, "")], [(.user, "0:0"), (.userEnvironment, "")],
        ] {
            var environment = Environment(["HOME=/x", "USER=y", "PATH=/bin"])
            try credentials(words).setVariables(in: &environment, operand: nil)
            #expect(environment["HOME"] == "/root" && environment["PATH"] == "/bin")
            #expect(environment["USER"] == "root" && environment["LOGNAME"] == "root")
            #expect(environment["SHELL"]?.hasPrefix("/") == true)
        }
        var environment = Environment(["HOME=/x"])
        try credentials([(.user, "root")]).setVariables(in: &environment, operand: nil)
        #expect(environment == Environment(["HOME=/x"]))
        #expect {
            try credentials([(.userEnvironment, "")]).setVariables(in: &environment, operand: nil)
        } throws: {
            ($0 as? Failure)?.exitCode == 100
        }
        #expect {
            try credentials([(.user, "3999999999:1"), (.userEnvironment, "")])
                .setVariables(in: &environment, operand: nil)
        } throws: {
            ($0 as? Failure)?.exitCode == 111
        }
    }

    @Test("A number has no group, and no name in the database")
    func numbers() throws {
        for words: [(ConfinementOption, ByteString)] in [
            [(.user, "5")], [(.user, "5:6"), (.groups, "database")], [(.groups, "database")],
        ] {
            #expect { try credentials(words).supplementaryGroups() } throws: {
                ($0 as? Failure)?.exitCode == 100
            }
        }
    }

    @Test("Who is not in the database is nobody, exit code 111")
    func unknown() throws {
        for (word, name): (ConfinementOption, ByteString) in [
            (.user, "no-such-user"), (.user, "root:no-such-group"), (.group, "no-such-group"),
            (.groups, "root,no-such-group"),
        ] {
            #expect { try credentials([(word, name)]) } throws: {
                ($0 as? Failure)?.exitCode == 111
            }
        }
    }
}
