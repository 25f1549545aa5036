import Bytes
import Commands
import Linux
import Testing

@testable import Confinement

@Suite("Confinement options")
struct OptionsTests {
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
    private func everything() throws -> Options {
        var options = Options()
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

    @Test("An empty set of options changes nothing and calls nothing")
    func nothing() throws {
        let seam = Seam()
        try seam.during { try Options().apply() }
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
            let before = complete.trace[..<index].count { name($0) == name(call) }
            let seam = harmless()
            seam.fail(String(name(call)), with: .notPermitted, skip: before)
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
        var options = Options()
        options.limits = [(.openFiles, .soft(hard)), (.openFiles, .softToHard)]
        if hard < .max { options.limits.append((.openFiles, .soft(hard + 1))) }
        try options.apply()
        #expect(try Resource.openFiles.limits() == ResourceLimits(soft: hard, hard: hard))
    }

    @Test("A limit on memory that this process itself could run into is set only before an exec")
    func tightMemory() throws {
        func mustExec(_ limit: LimitChange, _ resource: Resource) throws -> Bool {
            var options = Options()
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
        var options = Options()
        try options.take(.seccomp, "~@mount")
        #expect { try options.take(.seccomp, "~@swap") } throws: {
            ($0 as? Failure)?.exitCode == 100
        }
    }

    @Test("Words with a prefix are the same words, told apart by their letters")
    func prefixed() throws {
        let words: [ByteString] = ["p", "--child-bounding=none", "--no-new-privs", "-x"]
        var reader = OptionReader(
            words, short: "x", long: Options.words + Options.words(prefix: "child-"),
            messages: Messages(program: "p"))
        var (own, child) = (Options(), Options())
        var rest: [Unicode.Scalar] = []
        while case .option(let letter, let value)? = reader.next() {
            if try own.take(letter, value) { continue }
            if try child.take(letter, value, prefixed: true) { continue }
            rest.append(letter)
        }
        #expect(own.noNewPrivileges && own.capabilities.isEmpty)
        #expect(!child.noNewPrivileges)
        #expect(try child.capabilities.bounding == CapabilityList("none"))
        #expect(rest == ["x"])
    }

    @Test("What changes the exec's outcome, or its way, gets an exec")
    func execs() throws {
        func mustExec(_ word: Options.Word, _ value: ByteString) throws -> Bool {
            var options = Options()
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
            (.user, ["4294967295:1", "1:4294967295"]),
            (.group, []),
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
        ] as [(Options.Word, [ByteString])])
    func nonsense(_ word: Options.Word, _ values: [ByteString]) {
        for value in values {
            var options = Options()
            #expect("\(word) \(value.bytes)") { try options.take(word, value) } throws: {
                (($0 as? Failure)?.exitCode == 100)
                    || (word == .user && ($0 as? Failure)?.exitCode == 111)
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
struct IdentityTests {
    private func identity(_ words: [(Options.Word, ByteString)]) throws -> Identity {
        var options = Options()
        for (word, value) in words { try options.take(word, value) }
        return options.identity
    }

    @Test("The groups are the group alone, those given, none, or those of the database")
    func groups() throws {
        #expect(try Identity().supplementaryGroups() == nil)
        let plain = try identity([(.user, "5:6")])
        #expect(plain.user == 5 && plain.group == 6)
        #expect(try plain.supplementaryGroups() == [6])
        #expect(try identity([(.user, "5"), (.group, "7")]).supplementaryGroups() == [7])
        #expect(try identity([(.group, "7")]).supplementaryGroups() == [7])
        #expect(try identity([(.groups, "8,9")]).supplementaryGroups() == [8, 9])
        #expect(try identity([(.groups, "none"), (.user, "5:6")]).supplementaryGroups() == [])
        let root = try identity([(.user, "root"), (.groups, "database")])
        #expect(root.user == 0 && root.group == 0)
        #expect(try root.supplementaryGroups()?.contains(0) == true)
        #expect(try identity([(.group, "5"), (.user, "root")]).group == 5)
    }

    @Test("A number has no group, and no name in the database")
    func numbers() throws {
        for words: [(Options.Word, ByteString)] in [
            [(.user, "5")], [(.user, "5:6"), (.groups, "database")], [(.groups, "database")],
        ] {
            #expect { try identity(words).supplementaryGroups() } throws: {
                ($0 as? Failure)?.exitCode == 100
            }
        }
    }

    @Test("Who is not in the database is nobody, exit code 111")
    func unknown() throws {
        for (word, name): (Options.Word, ByteString) in [
            (.user, "no-such-user"), (.user, ""), (.user, "root:"), (.user, "root:no-such-group"),
            (.group, "no-such-group"), (.groups, "root,"), (.groups, ""), (.user, ":0"),
        ] {
            #expect { try identity([(word, name)]) } throws: {
                ($0 as? Failure)?.exitCode == 111
            }
        }
    }
}
