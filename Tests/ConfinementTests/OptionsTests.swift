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
            "cap_set_proc", "cap_reset_ambient", "cap_set_ambient", "no_new_privs", "seccomp")
        return seam
    }

    /// Everything at once, as far as it can be had by any user.
    private func everything() throws -> Options {
        var options = Options()
        options.limits = [
            (.openFiles, .value(100)), (.addressSpace, .value(1 << 30)), (.processes, .hard),
        ]
        options.account = Account(user: 12345, group: 23456)
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

    @Test("The order: limits, bounding set, groups, user, sets, memory, no_new_privs, filter")
    func order() throws {
        let seam = harmless()
        try seam.during { try everything().apply() }
        let changes: Set = [
            "setrlimit", "cap_drop_bound", "setgroups", "setgid", "setuid", "cap_set_proc",
            "no_new_privs", "seccomp", "cap_reset_ambient",
        ]
        var order: [String] = []
        for call in seam.trace where changes.contains(call) && order.last != call {
            order.append(call)
        }
        let hasBounding = try !CapabilityState.current().bounding.isEmpty
        let leavesRoot = CurrentProcess.effectiveUser == 0
        #expect(
            order == ["setrlimit"] + (hasBounding ? ["cap_drop_bound"] : []) + [
                "setgroups", "setgid", "setuid", "cap_set_proc",
            ] + (leavesRoot ? ["cap_reset_ambient"] : []) + [
                "setrlimit", "no_new_privs", "seccomp",
            ])
    }

    @Test("Whatever call fails, the rest is not done and the program does not start")
    func failClosed() throws {
        let options = try everything()
        let complete = harmless()
        try complete.during { try options.apply() }
        #expect(complete.trace.count > 20)
        for (index, call) in complete.trace.enumerated() {
            let before = complete.trace[..<index].count { $0 == call }
            let seam = harmless()
            seam.fail(call, with: .notPermitted, skip: before)
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
        options.limits = [(.openFiles, .value(hard)), (.openFiles, .hard)]
        if hard < .max { options.limits.append((.openFiles, .value(hard + 1))) }
        try options.apply()
        #expect(try Resource.openFiles.limits() == ResourceLimits(soft: hard, hard: hard))
    }

    @Test("A limit on memory that this process itself could run into is set only before an exec")
    func tightMemory() throws {
        func mustExec(_ limit: UInt64, _ resource: Resource) throws -> Bool {
            var options = Options()
            options.limits = [(resource, .value(limit))]
            let outcome = try harmless().during {
                try options.become(
                    Invocation("true", arguments: ["true"], environment: Environment()))
            }
            guard case .become(let invocation) = outcome else { return false }
            return invocation.mustExec
        }
        #expect(try mustExec(1_000_000, .addressSpace))
        #expect(try mustExec(0, .stack))
        #expect(try !mustExec(1 << 30, .data))
        #expect(try !mustExec(10, .openFiles))
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
}
