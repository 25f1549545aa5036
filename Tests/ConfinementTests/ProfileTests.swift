import Bytes
import CSeccomp
import Commands
import Foundation
import Linux
import Testing

@testable import Confinement

private let here = ProfileTarget(bounding: [], kernel: (6, 1))

private func profile(_ text: String, _ profileTarget: ProfileTarget = here) throws -> Profile {
    try Profile.read(Array(text.utf8), file: "test.json", profileTarget)
}

private func mistake(_ text: String) -> String {
    do {
        _ = try SystemCallFilter(profile(text))
        return "accepted"
    } catch let failure as Failure {
        #expect(failure.exitCode == 100)
        return String(decoding: failure.text.bytes, as: UTF8.self)
    } catch { return "\(error)" }
}

/// A rule as libseccomp's own interface takes it, for comparison.
struct ReferenceRule {
    var name: String
    var action: UInt32
    var arguments: [scmp_arg_cmp]
}

/// libseccomp's program for these rules, through its own interface, a list in place of a tree.
func referenceProgram(
    _ defaultAction: UInt32, _ architectures: [String] = [], _ rules: [ReferenceRule]
) throws -> [FilterInstruction] {
    let context = try #require(seccomp_init(defaultAction))
    defer { seccomp_release(context) }
    #expect(seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, 0x8000_0000) == 0)
    for name in architectures {
        #expect(seccomp_arch_add(context, seccomp_arch_resolve_name(name)) == 0)
    }
    for rule in rules where rule.action != defaultAction {
        let number = seccomp_syscall_resolve_name(rule.name)
        if number == __NR_SCMP_ERROR { continue }
        let isTwice = Set(rule.arguments.map { $0.arg }).count < rule.arguments.count
        for arguments in isTwice ? rule.arguments.map({ [$0] }) : [rule.arguments] {
            #expect(
                seccomp_rule_add_array(
                    context, rule.action, number, UInt32(arguments.count), arguments) == 0)
        }
    }
    let file = try #require(tmpfile())
    defer { fclose(file) }
    #expect(seccomp_export_bpf(context, fileno(file)) == 0)
    rewind(file)
    var program: [FilterInstruction] = []
    var instruction = FilterInstruction(code: 0, 0)
    while fread(&instruction, 8, 1, file) == 1 { program.append(instruction) }
    return program
}

@Suite("Profiles in the JSON of OCI and Docker")
struct ProfileTests {
    private let native = seccomp_arch_native()

    private func answer(
        _ profile: Profile, _ name: String, _ arguments: UInt64..., architecture: String? = nil
    ) throws -> UInt32? {
        let token = architecture.map { seccomp_arch_resolve_name($0) } ?? native
        return run(
            try SystemCallFilter(profile).instructions,
            SeccompData(
                number: seccomp_syscall_resolve_name_arch(token, name), architecture: token,
                arguments: arguments + [UInt64](repeating: 0, count: 6 - arguments.count)))
    }

    private func rule(_ members: String, _ top: String = "") -> String {
        """
        {"defaultAction": "SCMP_ACT_KILL_PROCESS", \(top) "syscalls": [{"names": ["read"], \
        "action": "SCMP_ACT_ALLOW", \(members) "comment": ""}, {"name": "futex_waitv", "action": \
        "SCMP_ACT_KILL"}]}
        """
    }

    private func isAllowed(_ members: String, _ arguments: UInt64...) throws -> Bool {
        let padded = arguments + [UInt64](repeating: 0, count: 6 - arguments.count)
        let filter = try SystemCallFilter(profile(rule(members)))
        let data = SeccompData(
            number: seccomp_syscall_resolve_name("read"), architecture: native, arguments: padded)
        return run(filter.instructions, data) == FilterAction.allow.rawValue
    }

    private static let edges: [UInt64] = [
        0, 1, 2, 0x7fff_ffff, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, 1 << 63, ~0 - 1, ~0,
    ]

    @Test("An operator means what it says, around every edge of 32 and 64 bits")
    func operators() throws {
        let operators: [(String, (UInt64, UInt64) -> Bool)] = [
            ("NE", { $0 != $1 }), ("LT", { $0 < $1 }), ("LE", { $0 <= $1 }), ("EQ", { $0 == $1 }),
            ("GE", { $0 >= $1 }), ("GT", { $0 > $1 }),
            ("MASKED_EQ", { $0 & $1 == 1 & $1 }),
        ]
        for (name, holds) in operators {
            for value in ProfileTests.edges {
                let filter = try SystemCallFilter(
                    profile(
                        rule(
                            """
                            "args": [{"index": 2, "value": \(value), "valueTwo": 1, \
                            "op": "SCMP_CMP_\(name)"}],
                            """)))
                for argument in ProfileTests.edges {
                    let data = SeccompData(
                        number: seccomp_syscall_resolve_name("read"), architecture: native,
                        arguments: [9, 9, argument, 9, 9, 9])
                    let expected = holds(argument, value) ? FilterAction.allow : .killProcess
                    #expect(
                        run(filter.instructions, data) == expected.rawValue,
                        "\(argument) \(name) \(value)")
                }
            }
        }
    }

    @Test("All arguments count; but when one is named twice, each is enough")
    func arguments() throws {
        func argument(_ index: Int, _ value: Int) -> String {
            #"{"index": \#(index), "value": \#(value), "op": "SCMP_CMP_EQ"}"#
        }
        let both = #""args": [\#(argument(0, 1)), \#(argument(1, 2))],"#
        #expect(try isAllowed(both, 1, 2))
        #expect(try !isAllowed(both, 1, 3))
        let either = #""args": [\#(argument(0, 1)), \#(argument(0, 2)), \#(argument(1, 3))],"#
        #expect(try isAllowed(either, 1))
        #expect(try isAllowed(either, 2))
        #expect(try isAllowed(either, 9, 3))
        #expect(try !isAllowed(either, 9, 9))
        #expect(try isAllowed(#""args": null, "includes": {}, "excludes": null,"#))
    }

    @Test(
        "Rules are for capabilities, architectures and kernels",
        arguments: [
            (#""includes": {"caps": ["CAP_CHOWN"]}"#, false),
            (#""includes": {"caps": ["CAP_KILL"]}"#, true),
            (#""includes": {"caps": ["CAP_KILL", "CAP_CHOWN"]}"#, false),
            (#""excludes": {"caps": ["CAP_CHOWN"]}"#, true),
            (#""excludes": {"caps": ["CAP_CHOWN", "CAP_KILL"]}"#, false),
            (#""includes": {"arches": ["sparc", "NATIVE"]}"#, true),
            (#""includes": {"arches": ["sparc"]}"#, false),
            (#""includes": {"arches": ["NATIVE"], "caps": ["CAP_CHOWN"]}"#, false),
            (#""excludes": {"arches": ["NATIVE"]}"#, false),
            (#""excludes": {"arches": ["sparc"]}"#, true),
            (#""includes": {"minKernel": "4.8"}"#, true),
            (#""includes": {"minKernel": "6.1"}"#, true),
            (#""includes": {"minKernel": "6.2"}"#, false),
            (#""includes": {"minKernel": "10.0"}"#, false),
            (#""excludes": {"minKernel": "4.8"}"#, false),
            (#""excludes": {"minKernel": "6.12"}"#, true),
        ])
    func profileTarget(_ members: String, _ isThere: Bool) throws {
        let native = String(decoding: Architecture.native.goName.bytes, as: UTF8.self)
        let text = rule("\(members.replacingOccurrences(of: "NATIVE", with: native)),")
        let profile = try profile(
            text, ProfileTarget(bounding: CapabilitySet(Capability(5)), kernel: (6, 1)))
        #expect((try answer(profile, "read") == FilterAction.allow.rawValue) == isThere)
    }

    @Test(
        "Every action that needs no listener",
        arguments: [
            ("KILL", "", 0), ("KILL_THREAD", "", 0), ("KILL_PROCESS", "", 0x8000_0000),
            ("TRAP", "", 0x3_0000), ("ERRNO", "", 0x5_0001),
            ("ERRNO", #""errnoRet": 38,"#, 0x5_0026),
            ("ERRNO", #""errnoRet": 1, "errno": "ENOENT","#, 0x5_0002),
            ("ERRNO", #""errno": "","#, 0x5_0001), ("TRACE", "", 0x7ff0_0001),
            ("TRACE", #""errnoRet": 9,"#, 0x7ff0_0009), ("LOG", "", 0x7ffc_0000),
            ("ALLOW", "", 0x7fff_0000),
        ] as [(String, String, UInt32)])
    func actions(_ name: String, _ members: String, _ expected: UInt32) throws {
        let text = """
            {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 77, "syscalls": [{"names": \
            ["read"], \(members) "action": "SCMP_ACT_\(name)"}]}
            """
        #expect(try answer(try profile(text), "read") == expected)
    }

    @Test("Calls newer than all that the profile names do not exist, unless all is allowed")
    func newer() throws {
        let text =
            #"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["close"], "action": "SCMP_ACT_ALLOW"}]}"#
        #expect(
            try answer(try profile(text), "open") == FilterAction.fail(.notPermitted).rawValue
                || native != 0xc000_003e)
        #expect(try answer(try profile(text), "unshare") == FilterAction.noSystemCall.rawValue)
        let allowed = text.replacingOccurrences(of: "ERRNO", with: "ALLOW")
        #expect(try answer(try profile(allowed), "unshare") == FilterAction.allow.rawValue)
        let newest = SeccompData(number: 1000, architecture: native)
        let filter = try SystemCallFilter(profile(allowed))
        #expect(run(filter.instructions, newest) == FilterAction.noSystemCall.rawValue)
    }

    @Test("A call that is newer than libseccomp is known all the same")
    func newerThanLibseccomp() throws {
        let text = """
            {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["rseq_slice_yield", \
            "no_such_call"], "action": "SCMP_ACT_ERRNO"}]}
            """
        let filter = try SystemCallFilter(profile(text))
        #expect(
            run(filter.instructions, SeccompData(number: SystemCalls.highest, architecture: native))
                == 0x5_0001)
        #expect(try profile(text).unknownNames == ["no_such_call"])
    }

    @Test("clone3 does not exist where clone's flags are looked at and clone3 is not named")
    func twins() throws {
        func text(_ more: String) -> String {
            """
            {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["clone"\(more)], "action": \
            "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}]}
            """
        }
        #expect(try answer(try profile(text("")), "clone3") == FilterAction.noSystemCall.rawValue)
        #expect(
            try answer(try profile(text(#", "clone3""#)), "clone3", 2)
                == FilterAction.allow.rawValue)
    }

    @Test("A twin that is added makes the profile no newer")
    func twinsAndAge() throws {
        // As old profiles of Docker are: they look at clone and know nothing of statx.
        let text = """
            {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
                {"name": "getrandom", "action": "SCMP_ACT_ALLOW", "args": []},
                {"name": "clone", "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, \
            "value": 2080505856, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]}]}
            """
        let profile = try profile(text)
        for name in ["statx", "clone3", "rseq", "faccessat2"] {
            #expect(try answer(profile, name) == FilterAction.noSystemCall.rawValue)
        }
        #expect(try answer(profile, "mount") == FilterAction.fail(.notPermitted).rawValue)
        #expect(try answer(profile, "getrandom") == FilterAction.allow.rawValue)
    }

    @Test(
        "An error is a name, or a number that may be in a string",
        arguments: [
            (#""errno": "EXDEV""#, 18), (#""errno": "38""#, 38), (#""errnoRet": 5"#, 5),
            (#""errno": """#, 1), (#""errno": "ENOTSUP""#, 95), (#""errno": "4096""#, nil),
            (#""errno": "EPOLLIN""#, nil), (#""errno": "E""#, nil),
        ] as [(String, Int32?)])
    func errors(_ field: String, _ code: Int32?) throws {
        let text = """
            {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": \
            "SCMP_ACT_ERRNO", \(field)}]}
            """
        guard let code else {
            #expect(throws: Failure.self) { try profile(text) }
            return
        }
        #expect(try answer(try profile(text), "mkdir") == FilterAction.fail(Errno(code)).rawValue)
    }

    #if arch(x86_64)
        @Test("Other architectures' calls are refused unless the profile names the architecture")
        func otherArchitectures() throws {
            let alone = try profile(rule(""))
            let more = try profile(
                rule(
                    "", #""architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],"#
                ))
            let mapped = try profile(
                rule(
                    "",
                    """
                    "archMap": [{"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": \
                    ["SCMP_ARCH_NEW"]}, {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": \
                    ["SCMP_ARCH_X86"]}],
                    """))
            let (allow, kill) = (FilterAction.allow.rawValue, FilterAction.killProcess.rawValue)
            #expect(try answer(alone, "read", architecture: "x86") == kill)
            #expect(try answer(more, "read", architecture: "x86") == allow)
            #expect(try answer(mapped, "read", architecture: "x86") == allow)
            let x32 = SeccompData(number: 0x4000_0000, architecture: native)
            #expect(run(try SystemCallFilter(alone).instructions, x32) == kill)
            #expect(run(try SystemCallFilter(mapped).instructions, x32) == kill)
            #expect(run(try SystemCallFilter(more).instructions, x32) == allow)
            let newer = SeccompData(number: 0x4000_03e8, architecture: native)
            #expect(
                run(try SystemCallFilter(more).instructions, newer)
                    == FilterAction.noSystemCall.rawValue)
        }
    #endif

    @Test(
        "What is not understood is a mistake, with its place",
        arguments: [
            ("", "test.json:1:0: '[' or '{' expected near end of file"),
            ("{", "test.json:1:1: string or '}' expected near end of file"),
            ("{\n\"a\": 1,\n}", "test.json:3:1: string or '}' expected near '}'"),
            ("[]", "test.json: not an object"),
            ("{}", "test.json: no defaultAction"),
            (#"{"defaultAction": "SCMP_ACT_ALLOW", "defaultAction": "x"}"#, "duplicate object key"),
            (#"{"defaultAction": 1}"#, "test.json: defaultAction: not a string"),
            (#"{"defaultAction": "ALLOW"}"#, "test.json: defaultAction: unknown action ALLOW"),
            (
                #"{"defaultAction": "SCMP_ACT_NOTIFY"}"#,
                "test.json: defaultAction: there is no process that listens"
            ),
            (
                #"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": -1}"#,
                "test.json: defaultErrnoRet: not a number from 0 to 18446744073709551615"
            ),
            (
                #"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}"#,
                "test.json: defaultErrnoRet: no error number"
            ),
            (
                #"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "EFOO"}"#,
                "test.json: defaultErrno: unknown error EFOO"
            ),
            (
                #"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["LOG"]}"#,
                "test.json: flags[0]: unknown flag LOG"
            ),
            (
                #"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_PDP11"]}"#,
                "test.json: architectures[0]: unknown architecture SCMP_ARCH_PDP11"
            ),
            (
                #"{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/x"}"#,
                "test.json: listenerPath: there is no process that listens"
            ),
            (#"{"defaultAction": "SCMP_ACT_ALLOW", "x": 1}"#, "test.json: x: unknown field"),
        ])
    func mistakes(_ text: String, _ message: String) {
        #expect(mistake(text) == message || mistake(text).contains("duplicate object key"))
    }

    @Test(
        "What is not understood in a rule is a mistake, with its place",
        arguments: [
            ("1", "syscalls[0]: not an object"), ("{}", "syscalls[0]: no action"),
            (#"{"action": "SCMP_ACT_LOG"}"#, "syscalls[0]: no names"),
            (#"{"action": "SCMP_ACT_LOG", "names": [1]}"#, "syscalls[0].names[0]: not a string"),
            (
                #"{"action": "SCMP_ACT_LOG", "names": ["read"], "name": "read"}"#,
                "syscalls[0]: both name and names"
            ),
            (
                #"{"action": "SCMP_ACT_X", "name": "read"}"#,
                "syscalls[0].action: unknown action SCMP_ACT_X"
            ),
            (
                #"{"action": "SCMP_ACT_LOG", "name": "read", "includes": {"caps": ["CAP_X"]}}"#,
                "syscalls[0].includes.caps[0]: unknown capability CAP_X"
            ),
            (
                #"{"action": "SCMP_ACT_LOG", "name": "read", "includes": {"minKernel": "4"}}"#,
                "syscalls[0].includes.minKernel: not a version as 4.8 is"
            ),
            (
                #"{"action": "SCMP_ACT_LOG", "name": "read", "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}"#,
                "syscalls[0].args[0].index: not an argument from 0 to 5"
            ),
            (
                #"{"action": "SCMP_ACT_LOG", "name": "read", "args": [{"index": 0, "value": 1.5, "op": "SCMP_CMP_EQ"}]}"#,
                "syscalls[0].args[0].value: not a number from 0 to 18446744073709551615"
            ),
            (
                #"{"action": "SCMP_ACT_LOG", "name": "read", "args": [{"index": 0, "value": 1, "op": "EQ"}]}"#,
                "syscalls[0].args[0].op: unknown operator EQ"
            ),
            (
                #"{"action": "SCMP_ACT_LOG", "name": "mseal", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}"#,
                "syscalls[0]: the arguments of mseal cannot be looked at"
            ),
        ])
    func ruleMistakes(_ rule: String, _ message: String) {
        let text = #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [\#(rule)]}"#
        #expect(mistake(text) == "test.json: \(message)")
    }
}

@Suite("Profiles against libseccomp")
struct ProfileReferenceTests {
    private let native = seccomp_arch_native()

    @Test("Random rules for the same calls are merged as libseccomp merges them")
    func randomRules() throws {
        var generator = Generator(state: 7)
        let values: [UInt64] = [0, 1, 2, 3, 0x1_0000_0001]
        let names = ["read", "write", "open", "close", "ioctl", "socket", "clone3", "openat2"]
        let operators = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]
        var compared = 0
        for _ in 0..<300 {
            var rules: [ReferenceRule] = []
            var texts: [String] = []
            for _ in 0..<Int.random(in: 1...8, using: &generator) {
                var rule = ReferenceRule(
                    name: names.randomElement(using: &generator)!,
                    action: Bool.random(using: &generator) ? 0x7fff_0000 : 0x5_0009, arguments: [])
                var arguments: [String] = []
                for index in 0..<UInt32.random(in: 0...3, using: &generator) {
                    // With the negated operators, libseccomp 2.5.4 may not come to an end.
                    let op = [3, 4, 5, 6].randomElement(using: &generator)!
                    let (a, b) = (
                        values.randomElement(using: &generator)!,
                        values.randomElement(using: &generator)!
                    )
                    rule.arguments.append(
                        scmp_arg_cmp(
                            arg: index, op: scmp_compare(UInt32(op + 1)), datum_a: a, datum_b: b))
                    arguments.append(
                        """
                        {"index": \(index), "op": "SCMP_CMP_\(operators[op])", "value": \(a), \
                        "valueTwo": \(b)}
                        """)
                }
                rules.append(rule)
                let action = rule.action == 0x5_0009 ? "ERRNO" : "ALLOW"
                texts.append(
                    """
                    {"name": "\(rule.name)", "errnoRet": 9, "action": "SCMP_ACT_\(action)", \
                    "args": [\(arguments.joined(separator: ","))]}
                    """)
            }
            // So that every call up to here is one that the profile could have named.
            texts.append(#"{"names": ["clone3", "openat2"], "action": "SCMP_ACT_KILL_PROCESS"}"#)
            let text = """
                {"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": [\(texts.joined(separator: ","))]}
                """
            // Rules that contradict each other fail here and there.
            guard let filter = try? SystemCallFilter(profile(text)) else { continue }
            let reference = try referenceProgram(0x8000_0000, [], rules)
            compared += 1
            for number in Int32(0)...437 {
                for _ in 0..<12 {
                    let data = SeccompData(
                        number: number, architecture: native,
                        arguments: (0..<6).map { _ in values.randomElement(using: &generator)! })
                    #expect(run(filter.instructions, data) == run(reference, data))
                    if !names.contains(where: { seccomp_syscall_resolve_name($0) == number }) {
                        break
                    }
                }
            }
        }
        #expect(compared > 100)
    }

    private static let podman = "/usr/share/containers/seccomp.json"

    /// The rules of podman's profile for these capabilities, read by Foundation and not by us.
    private func podmanRules(_ bounding: Set<String>) throws -> [ReferenceRule] {
        let data = try Data(contentsOf: URL(fileURLWithPath: ProfileReferenceTests.podman))
        let root = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        let operators = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]
        var rules: [ReferenceRule] = []
        for case let entry as [String: Any] in root["syscalls"] as? [Any] ?? [] {
            let includes = entry["includes"] as? [String: [String]] ?? [:]
            let excludes = entry["excludes"] as? [String: [String]] ?? [:]
            let arches = includes["arches"] ?? ["amd64"]
            guard arches.contains("amd64"), excludes["arches"]?.contains("amd64") != true,
                bounding.isSuperset(of: includes["caps"] ?? []),
                bounding.isDisjoint(with: excludes["caps"] ?? [])
            else { continue }
            let arguments = (entry["args"] as? [[String: Any]] ?? []).map { argument in
                let op = (argument["op"] as? String)?.dropFirst("SCMP_CMP_".count) ?? ""
                return scmp_arg_cmp(
                    arg: (argument["index"] as? NSNumber)?.uint32Value ?? 9,
                    op: scmp_compare(UInt32((operators.firstIndex(of: String(op)) ?? 99) + 1)),
                    datum_a: (argument["value"] as? NSNumber)?.uint64Value ?? 0,
                    datum_b: (argument["valueTwo"] as? NSNumber)?.uint64Value ?? 0)
            }
            let errno = (entry["errnoRet"] as? NSNumber)?.uint32Value ?? 1
            let action =
                entry["action"] as? String == "SCMP_ACT_ALLOW" ? 0x7fff_0000 : 0x5_0000 | errno
            for name in entry["names"] as? [String] ?? [] {
                rules.append(ReferenceRule(name: name, action: action, arguments: arguments))
            }
        }
        return rules
    }

    #if arch(x86_64)
        @Test(
            "podman's own profile decides as libseccomp does, for every call of three architectures",
            .enabled(if: FileManager.default.fileExists(atPath: podman)),
            arguments: [[], ["CAP_SYS_ADMIN"], ["CAP_AUDIT_WRITE", "CAP_SYS_CHROOT"]] as [[String]])
        func podmanProfile(_ capabilities: [String]) throws {
            var bounding = CapabilitySet()
            for name in capabilities {
                bounding.insert(CapabilitySet(try #require(Capability(named: ByteString(name)))))
            }
            let text = try Data(contentsOf: URL(fileURLWithPath: ProfileReferenceTests.podman))
            let filter = try SystemCallFilter(
                Profile.read(
                    Array(text), file: "podman", ProfileTarget(bounding: bounding, kernel: (6, 1))))
            let reference = try referenceProgram(
                0x5_0026, ["x86", "x32"], try podmanRules(Set(capabilities)))
            let values: [UInt64] = [0, 8, 9, 16, 131072, 131080, 0xffff_ffff, 1 << 40]
            for architecture in [native, seccomp_arch_resolve_name("x86"), 0xc000_00b7] {
                for number in Array(Int32(0)...512) + Array(0x4000_0000...0x4000_0230) + [-1] {
                    for first in values {
                        for third in [0, 9, 10] as [UInt64] {
                            let data = SeccompData(
                                number: number, architecture: architecture,
                                arguments: [first, 0, third, 0, 0, 0])
                            #expect(
                                run(filter.instructions, data) == run(reference, data),
                                "\(number) of \(architecture)")
                        }
                    }
                }
            }
        }
    #endif
}
