import Bytes
import Commands
import Linux
import Testing

@testable import Confinement

private func number(_ name: ByteString) -> Int32 {
    if case .number(let number) = SystemCalls.meaning(of: name) { return number }
    Issue.record("no system call")
    return -1
}

private func policy(_ text: String) throws -> Policy {
    try PolicyReader.read(Array(text.utf8), file: "test.policy")
}

private func mistake(_ text: String) -> String {
    do {
        _ = try policy(text)
        return "accepted"
    } catch let failure as Failure {
        #expect(failure.exitCode == 100)
        return String(decoding: failure.text.bytes, as: UTF8.self)
    } catch { return "\(error)" }
}

@Suite("Policies in minijail's format")
struct PolicyTests {
    /// What `text` says of a call.
    private func decision(_ text: String, _ name: ByteString, _ arguments: UInt64...) throws
        -> FilterAction
    {
        let padding = [UInt64](repeating: 0, count: 6 - arguments.count)
        return decide(try policy(text), number(name), arguments + padding)
    }

    @Test("Calls are listed, all others end the process")
    func lists() throws {
        let text = """
            # a comment
            read: 1
            write: allow   # another

            exit_group:1
            close: return EBADF
            kill: return 13
            ptrace: kill-thread
            """
        #expect(try decision(text, "read") == .allow)
        #expect(try decision(text, "write") == .allow)
        #expect(try decision(text, "exit_group") == .allow)
        #expect(try decision(text, "close") == .fail(Errno(9)))
        #expect(try decision(text, "kill") == .fail(.accessDenied))
        #expect(try decision(text, "ptrace") == .killThread)
        #expect(try decision(text, "mount") == .killProcess)
    }

    @Test("The default can be chosen")
    func defaults() throws {
        #expect(try decision("@default return ENOSYS\nread: 1", "mount") == .noSystemCall)
        #expect(try decision("@default kill-thread", "mount") == .killThread)
        #expect(try decision("@default trap", "mount") == .trap)
        #expect(try decision("@denylist\nmount: return EPERM", "read") == .allow)
        #expect(
            try decision("@denylist\nmount: return EPERM", "mount") == .fail(.notPermitted))
    }

    @Test("An argument decides: true allows, false is for the action or the default")
    func conditions() throws {
        #expect(try decision("read: arg0 == 0", "read", 0) == .allow)
        #expect(try decision("read: arg0 == 0", "read", 1) == .killProcess)
        let text = "read: arg0 == 0 && arg2 > 9 || arg1 & 6; return EBADF"
        #expect(try decision(text, "read", 0, 0, 10) == .allow)
        #expect(try decision(text, "read", 0, 0, 9) == .fail(Errno(9)))
        #expect(try decision(text, "read", 1, 4, 0) == .allow)
        #expect(try decision(text, "read", 1, 9, 0) == .fail(Errno(9)))
    }

    @Test("In a deny list an argument says when the action is taken")
    func deniedConditions() throws {
        let text = "@denylist\nunshare: arg0 & CLONE_NEWUSER; return EPERM"
        #expect(try decision(text, "unshare", 0x1000_0000) == .fail(.notPermitted))
        #expect(try decision(text, "unshare", 0x4000_0000) == .allow)
        #expect(mistake("@denylist\nunshare: arg0 & 1") == "test.policy:2: the line ends too early")
    }

    @Test("In braces the first that holds decides")
    func braces() throws {
        let text = "read: {arg0 == 1; return EPERM, arg0 < 3, arg0 == 5; trap, return ENOSYS}"
        #expect(try decision(text, "read", 1) == .fail(.notPermitted))
        #expect(try decision(text, "read", 2) == .allow)
        #expect(try decision(text, "read", 5) == .trap)
        #expect(try decision(text, "read", 4) == .noSystemCall)
        #expect(try decision("read: {arg0 == 1}", "read", 2) == .killProcess)
        #expect(mistake("read: {1, arg0 == 1}").contains("never reached"))
    }

    @Test("Several calls at once, and only for some architectures")
    func lists2() throws {
        #expect(try decision("{read, write,close}: 1", "close") == .allow)
        let ours = String(decoding: Architecture.native.minijailName.bytes, as: UTF8.self)
        #expect(try decision("read[arch=\(ours)]: 1", "read") == .allow)
        #expect(try decision("{read[arch=mips,\(ours)], write}: 1", "read") == .allow)
        #expect(try decision("{read[arch=mips], write}: 1", "read") == .killProcess)
        // A name that only another architecture can know.
        #expect(try decision("nonexistent[arch=mips]: 1\nread: 1", "read") == .allow)
        #expect(try decision("socketcall: 1\nread: 1", "read") == .allow)
    }

    @Test("Lines for one call are gone through in order")
    func severalLines() throws {
        let text = "read: arg0 == 1\nwrite: 1\nread: arg0 == 2\nread: return EIO"
        #expect(try decision(text, "read", 1) == .allow)
        #expect(try decision(text, "read", 2) == .allow)
        #expect(try decision(text, "read", 3) == .fail(Errno(5)))
        let decided = "test.policy:2: an earlier line decides this call already"
        #expect(mistake("read: 1\nread: return EIO") == decided)
        #expect(mistake("read: arg0 == 1; return EIO\nread: 1") == decided)
        #expect(mistake("read: arg0 == 1; return EIO\nread: arg0 == 2; return EIO") == decided)
    }

    @Test(
        "A line that says again what is so already changes nothing",
        arguments: [
            "read: 1\nread: 1", "read: allow\nread: arg0 == 1", "read: return EIO\nread: return 5",
            "read: arg0 == 1; return EIO\nread: arg0 == 1; return EIO",
            "read: arg0 == 1\nread: return EIO\nread: return EIO\nread: arg0 == 1",
        ])
    func repeated(_ text: String) throws {
        let first = text.split(separator: "\n").prefix(
            text.hasSuffix("EIO\nread: arg0 == 1") ? 2 : 1)
        #expect(try policy(text) == policy(first.joined(separator: "\n")))
    }

    @Test("Many lines for one call, names in a list and files cost no more than their length")
    func many() throws {
        let conditions = (0..<1200).map { "ioctl: arg1 == \($0)\n" }.joined()
        #expect(throws: Failure.self) { try SystemCallFilter(policy(conditions)) }
        let tooMany = (0..<5000).map { "ioctl: arg1 == \($0)\n" }.joined()
        #expect(mistake(tooMany) == "test.policy:4097: too many conditions for one call")
        let names = String(repeating: "read, ", count: 100_000)
        #expect(try policy("{\(names)read}: 1") == policy("read: 1"))
    }

    @Test("Parentheses have a limit, whatever their number")
    func parentheses() throws {
        func nested(_ count: Int) -> String {
            "read: arg0 == \(String(repeating: "(", count: count))5"
                + String(repeating: ")", count: count)
        }
        #expect(try decision(nested(100), "read", 5) == .allow)
        let tooMany = "test.policy:1: too many parentheses within each other"
        #expect(mistake(nested(101)) == tooMany)
        #expect(mistake(nested(100_000)) == tooMany)
        #expect(mistake("read: arg0 == \(String(repeating: "~(", count: 100_000))") == tooMany)
    }

    @Test("@known is every call that has a name")
    func known() throws {
        let text = "@default return EPERM\n@known: 1\nmount: kill"
        for name in ["read", "exit_group", "openat2", "rseq_slice_yield"] as [ByteString] {
            #expect(try decision(text, name) == .allow)
        }
        #expect(try decision(text, "mount") == .killProcess)
        let list = try Policy(list: "@known ~mount", option: "policy")
        #expect(list.clauses[number("chroot")].first?.action == .allow)
        #expect(list.clauses[number("mount")].first?.action == .fail(.notPermitted))
    }

    @Test("Names that minijail gives to ARM's own calls are known")
    func ofARM() throws {
        #expect(SystemCalls.meaning(of: "ARM_set_tls") == SystemCalls.meaning(of: "set_tls"))
        #expect(SystemCalls.meaning(of: "ARM_set_tls") != .unknown)
        #expect(SystemCalls.meaning(of: "ARM_no_such") == .unknown)
    }

    @Test(
        "Constants are those of the kernel's headers",
        arguments: [
            ("arg2 in ~GRND_RANDOM", 0xffff_ffff_ffff_fffd),
            ("arg1 == MADV_GUARD_INSTALL", 102), ("arg1 == PR_GET_AUXV", 0x4155_5856),
            ("arg1 == SCHED_IDLE", 5), ("arg1 == TCGETS2", 0x802c_542a),
            ("arg1 == FS_IOC_GET_ENCRYPTION_POLICY_EX", 0xc009_6616),
            ("arg1 == MS_NOSUID|MS_NODEV|MS_NOEXEC", 14), ("arg1 == SIOCGIFINDEX", 0x8933),
            ("arg1 == BLKGETSIZE64", 0x8008_1272), ("arg1 == LOOP_SET_FD", 0x4c00),
            ("arg1 == PF_LOCAL", 1), ("arg1 == MAP_ANON", 32),
        ] as [(String, UInt64)])
    func constants(_ condition: String, _ value: UInt64) throws {
        let clauses = try policy("ioctl: \(condition)").clauses[number("ioctl")]
        #expect(clauses.first?.condition.first?.first?.value == value)
    }

    @Test(
        "A policy under which no program could end is refused",
        arguments: [
            ("@denylist\nexit_group: return EPERM", true), ("@default return EPERM\nread: 1", true),
            ("exit_group: arg0 == 0; return EPERM", true), ("exit_group: arg0 == 0", false),
            ("@default return EPERM\nexit_group: 1", false), ("read: 1", false),
            ("@denylist\nexit_group: kill", false),
        ])
    func exits(_ text: String, _ isRefused: Bool) throws {
        let source = PolicySource.policy(try policy(text))
        do {
            _ = try source.filter()
            #expect(!isRefused)
        } catch {
            #expect(isRefused && error.exitCode == 100)
            #expect(String(decoding: error.text.bytes, as: UTF8.self).contains("exit_group"))
        }
    }

    @Test("Groups are calls; a call's own line goes before, a later group over an earlier one")
    func groups() throws {
        let text = "setuid: 1\n@system-service: 1\n@setuid: return EPERM\n"
        #expect(try decision(text, "setgid") == .fail(.notPermitted))
        #expect(try decision(text, "setuid") == .allow)
        #expect(try decision(text, "read") == .allow)
        #expect(try decision(text, "mount") == .killProcess)
        // A directive and a group have one name.
        let basic = "@default return EDOM\n@default: 1"
        #expect(try decision(basic, "exit_group") == .allow)
        #expect(try decision(basic, "read") == .fail(Errno(33)))
        #expect(mistake("@sytem: 1") == "test.policy:1: unknown group @sytem")
    }

    @Test(
        "Values are C's numbers and names, joined, complemented, in parentheses",
        arguments: [
            ("0", 0), ("017", 15), ("0x1F", 31), ("-1", UInt64.max), ("-0x2", UInt64.max - 1),
            ("O_RDONLY", 0), ("CLONE_NEWUSER", 0x1000_0000), ("1|2|4", 7), ("~0", UInt64.max),
            ("~1", UInt64.max - 1), ("~(1|2)", UInt64.max - 3), ("(8)", 8), ("(1|(2))|~~", nil),
            ("~(~1)", 1), ("18446744073709551615", UInt64.max), ("18446744073709551616", nil),
            ("-9223372036854775808", 1 << 63), ("-9223372036854775809", nil), ("08", nil),
            ("0x", nil), ("0xg", nil), ("1x", nil), ("", nil), ("NO_SUCH", nil), ("~~1", nil),
            ("1|", nil), ("(1", nil), ("1)", nil), ("arg1", nil), ("-", nil), ("--1", nil),
            ("AT_FDCWD", UInt64(bitPattern: -100)),
        ] as [(String, UInt64?)])
    func values(_ text: String, _ value: UInt64?) throws {
        let line = "read: arg3 == \(text)"
        guard let value else { return #expect(mistake(line).hasPrefix("test.policy:1: ")) }
        let expected = Comparison(argument: 3, relation: .equal, value: value)
        #expect(try policy(line).clauses[number("read")].first?.condition == [[expected]])
    }

    @Test(
        "What is not understood is a mistake, with its place",
        arguments: [
            ("raed: 1", "test.policy:1: unknown system call raed"),
            ("read: 1\n\n# x\nwrit: 1", "test.policy:4: unknown system call writ"),
            ("read", "test.policy:1: the line ends too early"),
            ("read 1", "test.policy:1: unexpected 1"),
            ("read:", "test.policy:1: the line ends too early"),
            ("read: 2", "test.policy:1: unknown action 2"),
            ("read: 0", "test.policy:1: unknown action 0"),
            ("read: 1 1", "test.policy:1: unexpected 1"),
            ("read: allwo", "test.policy:1: unknown action allwo"),
            ("read: return", "test.policy:1: the line ends too early"),
            ("read: return EFOO", "test.policy:1: no error number: EFOO"),
            ("read: return 4096", "test.policy:1: no error number: 4096"),
            ("read: return -1", "test.policy:1: no error number: -1"),
            ("read: arg6 == 1", "test.policy:1: unknown action arg6"),
            ("read: arg0 = 1", "test.policy:1: arg0 wants ==, !=, <, <=, >, >=, & or in"),
            ("read: arg0 === 1", "test.policy:1: unknown value ="),
            ("read: arg0", "test.policy:1: the line ends too early"),
            ("read: arg0 == 1 &&", "test.policy:1: the line ends too early"),
            ("read: arg0 == 1 || 1", "test.policy:1: unexpected 1"),
            (
                "read: arg0 == 1; trap",
                "test.policy:1: an action after a condition belongs in braces"
            ),
            ("read: trace", "test.policy:1: trace needs a process that listens, and there is none"),
            (
                "read: user-notify",
                "test.policy:1: user-notify needs a process that listens, and there is none"
            ),
            ("read: {1", "test.policy:1: the line ends too early"),
            ("{read: 1", "test.policy:1: unexpected :"),
            ("read[arch=x86: 1", "test.policy:1: unexpected :"),
            ("read[os=linux]: 1", "test.policy:1: unexpected os"),
            ("read: $", "test.policy:1: what is $?"),
            ("@default", "test.policy:1: the line ends too early"),
            (
                "@default allow",
                "test.policy:1: to allow what is not listed, begin with @denylist"
            ),
            ("@default kill\n@default kill", "test.policy:2: a second @default or @denylist"),
            ("@denylist\n@default kill", "test.policy:2: a second @default or @denylist"),
            ("@default kill\n@denylist", "test.policy:2: a second @default or @denylist"),
            ("read: 1\n@denylist", "test.policy:2: @denylist must come before all calls"),
            ("@denylist 1", "test.policy:1: unexpected 1"),
            ("@include", "test.policy:1: the line ends too early"),
            ("read: \\", "test.policy:1: the last line is not finished"),
            ("read: 1\0", "test.policy:1: what is ?"),
            ("1: 1", "test.policy:1: unknown system call 1"),
            (": 1", "test.policy:1: unknown system call :"),
        ])
    func mistakes(_ text: String, _ message: String) { #expect(mistake(text) == message) }

    @Test("A backslash at the end of a line continues it")
    func continuation() throws {
        #expect(
            try decision("read: \\\n  arg0 == 1 || \\\n  arg0 == 2\nwrite: 1", "read", 2) == .allow)
        #expect(mistake("read: \\\n 1\nwrit: 1") == "test.policy:3: unknown system call writ")
    }

    @Test("What a filter cannot look at does not exist where its twin's flags are looked at")
    func twins() throws {
        let clone = "@denylist\nclone: arg0 & CLONE_NEWUSER; return EPERM"
        #expect(try decision(clone, "clone3") == .noSystemCall)
        #expect(
            try decision("@process: 1\nclone: arg0 & 1; return EPERM", "clone3") == .noSystemCall)
        #expect(try decision("clone: arg0 & 1; return EPERM\nclone3: 1", "clone3") == .allow)
        #expect(try decision("clone: 1", "clone3") == .killProcess)
        #expect(
            try decision("@denylist\nopenat: {arg2 & 3; return EROFS}", "openat2") == .noSystemCall)
    }

    @Test("Lists in systemd's manner")
    func callLists() throws {
        func decision(_ list: ByteString, _ name: ByteString) throws -> FilterAction {
            decide(try Policy(list: list, option: "policy"), number(name), [])
        }
        let denied = FilterAction.fail(.notPermitted)
        #expect(try decision("@system-service", "read") == .allow)
        #expect(try decision("@system-service", "mount") == denied)
        #expect(try decision("@basic-io", "execve") == .allow)
        #expect(try decision("@basic-io kill", "kill") == .allow)
        #expect(try decision("@system-service ~@resources", "setrlimit") == denied)
        #expect(try decision("@system-service ~@resources", "read") == .allow)
        #expect(try decision("@system-service,~kill:EACCES", "kill") == .fail(.accessDenied))
        #expect(try decision("~@mount", "read") == .allow)
        #expect(try decision("~@mount", "mount") == denied)
        #expect(try decision("~@mount swapon", "swapon") == denied)
        #expect(try decision("~@mount:13 kill:kill", "mount") == .fail(.accessDenied))
        #expect(try decision("~@mount:13 kill:kill", "kill") == .killProcess)
        for wrong: ByteString in [
            "", " ", "@nosuch", "raed", "@default:EPERM", "~kill:", "~kill:E", "~kill:4096", "~",
            "@default ~",
        ] {
            #expect { try Policy(list: wrong, option: "policy") } throws: {
                ($0 as? Failure)?.exitCode == 100
            }
        }
    }

    @Test("Every member of every group is a call that some architecture has, or is known to be new")
    func groupMembers() throws {
        for group in SystemCallGroups.names {
            let members = try #require(SystemCallGroups.members(of: group))
            #expect(Set(members).count == members.count)
            for member in members where member.hasPrefix("@") {
                #expect(SystemCallGroups.members(of: member) != nil)
            }
        }
        #expect(SystemCallGroups.members(of: "@system-service")?.contains("@file-system") == true)
        #expect(SystemCallGroups.members(of: "@mount")?.contains("pivot_root") == true)
        #expect(SystemCallGroups.members(of: "mount") == nil)
    }
}
