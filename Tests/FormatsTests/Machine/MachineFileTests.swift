import Bytes
import Formats
import Testing

@Suite("Settings, modules, and records of a machine")
struct MachineFileTests {
    @Test("sysctl.d(5)")
    func settings() {
        let (settings, wrong) = KernelSetting.all(
            in: Array(
                """
                # comment
                ; comment
                net.ipv4.ip_forward = 1
                net/ipv4/conf/eth0.1/forwarding=0
                net.ipv4.conf.eth0/1.forwarding=0
                -kernel.x = a  b
                -kernel.y
                nonsense
                ../x = 1
                """.utf8))
        #expect(
            settings.map { $0.path } == [
                "net/ipv4/ip_forward", "net/ipv4/conf/eth0.1/forwarding",
                "net/ipv4/conf/eth0.1/forwarding",
                "kernel/x",
            ])
        #expect(settings.map { $0.value } == ["1", "0", "0", "a b"])
        #expect(settings.map { $0.mayFail } == [false, false, false, true])
        #expect(wrong == [8, 9])
    }

    private let index = ModuleIndex(
        dependencies: Array(
            """
            kernel/drivers/net/virtio_net.ko: kernel/net/core/failover.ko kernel/drivers/virtio/virtio.ko
            kernel/drivers/virtio/virtio.ko:
            kernel/net/core/failover.ko.xz:
            kernel/x/snd-pcm.ko.zst:
            kernel/x/net.ko:

            """.utf8),
        aliases: Array(
            """
            # Aliases
            alias virtio:d00000001v* virtio_net
            alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci
            alias acpi*:PNP0C0C:* button
            alias fs-ext4 ext4
            alias net-pf-40 vsock

            """.utf8))

    @Test("what a module needs is loaded before it")
    func dependencies() {
        #expect(
            index.files(ofModule: "virtio-net") == [
                "kernel/drivers/virtio/virtio.ko", "kernel/net/core/failover.ko",
                "kernel/drivers/net/virtio_net.ko",
            ])
        #expect(index.files(ofModule: "failover") == ["kernel/net/core/failover.ko.xz"])
        #expect(index.files(ofModule: "snd_pcm") == ["kernel/x/snd-pcm.ko.zst"])
        #expect(index.files(ofModule: "virtio_ne") == [])
        #expect(index.files(ofModule: "net") == ["kernel/x/net.ko"])
    }

    @Test("devices want modules")
    func aliases() {
        #expect(index.names(for: ["virtio:d00000001v00001AF4"]) == ["virtio_net"])
        #expect(
            index.names(for: ["acpi:PNP0C0C:", "pci:v00001AF4d00001000sv1sd1bc02sc00i00", "usb:x"])
                == ["virtio_pci", "button"])
        #expect(index.names(for: ["fs-ext4"]) == ["ext4"])
        #expect(index.names(for: ["fs-xfs"]) == [])
        #expect(index.names(for: []) == [])
        #expect(ModuleIndex.name(ofFile: "a/b-c.ko.xz") == "b_c")
    }

    @Test("modules for the network come first")
    func first() {
        for device in [
            "virtio:d00000002v00001AF4", "acpi:LNRO0005:",
            "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00",
            "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00",
            "vmbus:f8615163df3e46c5913ff2d2f965ed0e",
        ] as [ByteString] {
            #expect(ModuleIndex.isNeededFirst(device))
        }
        for device in [
            "pci:v00008086d00007010sv00001AF4sd00001100bc01sc01i80", "acpi:PNP0C0C:",
            "serio:ty01pr00id00ex00", "",
        ] as [ByteString] {
            #expect(!ModuleIndex.isNeededFirst(device))
        }
    }

    @Test(
        "patterns are the shell's",
        arguments: [
            ("abc", "abc", true), ("abc", "a*", true), ("abc", "*c", true), ("abc", "a?c", true),
            ("abc", "*b*", true), ("abc", "ab", false), ("ab", "abc", false), ("", "*", true),
            ("", "", true),
            ("a", "", false), ("b", "[a-c]", true), ("d", "[a-c]", false), ("d", "[!a-c]", true),
            ("abxbc", "a*bc", true), ("[", "[", true), ("-", "[a-]", true),
            ("aaab", "*a*a*b*c", false),
        ])
    func glob(text: String, pattern: String, fits: Bool) {
        let index = ModuleIndex(dependencies: [], aliases: Array("alias \(pattern) module\n".utf8))
        // An empty pattern is none.
        if pattern.isEmpty { return #expect(index.names(for: [ByteString(text)]) == []) }
        #expect(index.names(for: [ByteString(text)]) == (fits ? ["module"] : []))
    }

    @Test("lists and rules of modules")
    func rules() {
        let list = ModuleIndex.list(Array("# x\nvirtio_net csum=0 gso=1\n\nloop\n".utf8))
        #expect(list.map { $0.name } == ["virtio_net", "loop"])
        #expect(list.map { $0.parameters } == ["csum=0 gso=1", ""])
        var rules = ModuleRules()
        rules.add(
            Array(
                "blacklist snd-pcm\noptions loop max_loop=8\noptions loop x=1 y\ninstall a b\nblacklist\n"
                    .utf8))
        rules.forbid("a-b,c")
        #expect(rules.unwanted == ["snd_pcm", "a_b", "c"])
        #expect(rules.parameters(of: "loop") == "max_loop=8 x=1 y")
        #expect(rules.parameters(of: "x") == "")
        rules.add(
            KernelCommandLine(
                Array("loop.x=2 snd-pcm.flag snd_pcm.name=\"a b\" .y=1 z. quiet w=a.b".utf8)))
        #expect(rules.parameters(of: "loop") == "max_loop=8 x=1 y x=2")
        #expect(rules.parameters(of: "snd_pcm") == "flag name=\"a b\"")
        #expect(rules.parameters(of: "w") == "")
        #expect(rules.parameters(of: "") == "")
    }

    @Test("a request on /run/initctl")
    func initctl() {
        var record: [UInt8] = [0x69, 0x19, 0x09, 0x03, 1, 0, 0, 0, UInt8(ascii: "6"), 0, 0, 0]
        record += [UInt8](repeating: 0, count: 372)
        #expect(InitctlRecord(record[...])?.runlevel == UInt8(ascii: "6"))
        #expect(InitctlRecord(record.dropLast()) == nil)
        for place in [0, 3, 4, 10] {
            var wrong = record
            wrong[place] ^= 1
            #expect(InitctlRecord(wrong[...]) == nil)
        }
    }

    @Test("records of logins, as glibc lays them out")
    func logins() {
        let record = LoginRecord.boot(release: "6.1", at: 0x6543_2100, 7)
        let bytes = record.bytes
        #expect(bytes.count == 384)
        #expect(bytes[0] == 2 && bytes[8] == UInt8(ascii: "~") && bytes[40] == UInt8(ascii: "~"))
        #expect(Array(bytes[44..<51]) == Array("reboot\0".utf8))
        #expect(Array(bytes[76..<80]) == Array("6.1\0".utf8))
        #expect(Array(bytes[340..<348]) == [0, 0x21, 0x43, 0x65, 7, 0, 0, 0])
        #expect(LoginRecord(bytes[...]) == record)
        #expect(LoginRecord(bytes.dropLast()) == nil)
        let level = LoginRecord.runlevel(
            UInt8(ascii: "2"), from: UInt8(ascii: "N"), release: "", at: 0, 0)
        #expect(level.process == 0x4e32 && level.bytes[0] == 1)
        #expect(LoginRecord.shutdown(release: "", at: 0, 0).user == "shutdown")
        var other = bytes
        other[0] = 6
        #expect(LoginRecord(other[...]) == nil)
    }

    @Test("a user who leaves a terminal")
    func logout() {
        func user(_ name: ByteString, on line: ByteString) -> [UInt8] {
            var bytes = LoginRecord(
                kind: .user, process: 77, line: line, user: name, host: "far", seconds: 5,
                microseconds: 6
            ).bytes
            bytes[40] = 0x35
            bytes[350] = 9
            return bytes
        }
        let records = user("bob", on: "tty55") + user("", on: "tty5") + user("joe", on: "tty5")
        #expect(LoginRecord.position(of: "tty5", in: records) == 768)
        #expect(LoginRecord.position(of: "tty55", in: records) == 0)
        for line: ByteString in ["tty", "", "tty555"] {
            #expect(LoginRecord.position(of: line, in: records) == nil)
        }
        for count in [0, 1, 383, 768, 1151] {
            #expect(LoginRecord.position(of: "tty5", in: Array(records.prefix(count))) == nil)
        }
        let gone = LoginRecord.loggedOut(records, at: 768, 0x6543_2100, 7)
        let expected = LoginRecord(
            kind: .dead, process: 77, line: "tty5", user: "", host: "", seconds: 0x6543_2100,
            microseconds: 7)
        #expect(LoginRecord(gone[...]) == expected)
        #expect(gone[40] == 0x35 && gone[350] == 9)
        let history = LoginRecord.logOut(of: "tty5", at: 3, 4)
        #expect(history.bytes[0] == 8 && history.process == 0 && history.line == "tty5")
    }

    @Test("the power button")
    func button() {
        func event(_ type: UInt8, _ code: UInt8, _ value: UInt8) -> [UInt8] {
            [UInt8](repeating: 9, count: 16) + [type, 0, code, 0, value, 0, 0, 0]
        }
        #expect(InputEvent.isPowerPressed(in: event(1, 116, 1)[...]))
        #expect(InputEvent.isPowerPressed(in: (event(0, 0, 0) + event(1, 116, 1))[...]))
        #expect(!InputEvent.isPowerPressed(in: event(1, 116, 0)[...]))
        #expect(!InputEvent.isPowerPressed(in: event(1, 115, 1)[...]))
        #expect(!InputEvent.isPowerPressed(in: event(1, 116, 1).dropLast()))
        #expect(!InputEvent.isPowerPressed(in: []))
    }
}

@Suite("Times of shutdown(8)")
struct ShutdownTimeTests {
    @Test(
        "words",
        arguments: [
            ("now", ShutdownTime.minutes(0)), ("+0", .minutes(0)), ("+5", .minutes(5)),
            ("90", .minutes(90)),
            ("8:05", .clock(hour: 8, minute: 5)), ("23:59", .clock(hour: 23, minute: 59)),
        ])
    func words(text: String, time: ShutdownTime) { #expect(ShutdownTime(ByteString(text)) == time) }

    @Test(
        "what is none",
        arguments: [
            "", "+", "-5", "+-5", "5m", "24:00", "8:60", "8:5", ":05", "8:", "8:05:01", "+1000001",
            "noon",
        ])
    func refused(text: String) { #expect(ShutdownTime(ByteString(text)) == nil) }

    @Test("a time of day is the next one")
    func clock() {
        let time = ShutdownTime.clock(hour: 8, minute: 30)
        #expect(time.seconds(fromHour: 8, minute: 29, second: 30) == 30)
        #expect(time.seconds(fromHour: 8, minute: 30, second: 0) == 0)
        #expect(time.seconds(fromHour: 8, minute: 30, second: 1) == 86399)
        #expect(ShutdownTime.minutes(3).seconds(fromHour: 8, minute: 0, second: 0) == 180)
    }

    @Test("people are told at once, and then more and more often")
    func warnings() {
        #expect(ShutdownTime.warnings(before: 30) == [30])
        #expect(ShutdownTime.warnings(before: 60) == [60])
        #expect(ShutdownTime.warnings(before: 310) == [310, 300, 240, 180, 120, 60])
        #expect(ShutdownTime.warnings(before: 7200).count == 11)
    }
}
