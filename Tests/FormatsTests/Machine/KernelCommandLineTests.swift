import Bytes
import Formats
import Testing

@Suite("The kernel's command line")
struct KernelCommandLineTests {
    private func line(_ text: String) -> KernelCommandLine { KernelCommandLine(Array(text.utf8)) }

    @Test("words are names with values or without")
    func words() {
        let line = line("ro  root=UUID=a-b\tapus.x=\"a b\" \"c=d e\" =\n")
        #expect(line.words.map { $0.name } == ["ro", "root", "apus.x", "c", ""])
        #expect(line.words.map { $0.value } == [nil, "UUID=a-b", "a b", "d e", ""])
    }

    @Test("the last value holds, and all can be had")
    func values() {
        let line = line("console=tty0 console=ttyS0 ip=dhcp quiet")
        #expect(line["console"] == "ttyS0")
        #expect(line.values(of: "console") == ["tty0", "ttyS0"])
        #expect(line["quiet"] == nil && line.has("quiet") && !line.has("loud"))
    }

    @Test("a word is off by 0, no and off", arguments: ["0", "no", "off"])
    func off(value: String) {
        #expect(!line("rootwait rootwait=\(value)").has("rootwait"))
        #expect(line("rootwait=\(value) rootwait").has("rootwait"))
    }

    @Test(
        "how far to come up",
        arguments: [
            ("", KernelCommandLine.Level.full), ("single", .single), ("s", .single), ("S", .single),
            ("1", .single), ("apus.single", .single), ("emergency", .emergency),
            ("-b", .emergency), ("apus.emergency", .emergency), ("single 3", .full),
            ("single=1", .full), ("x=single", .full), ("nonsense", .full),
        ])
    func level(text: String, level: KernelCommandLine.Level) { #expect(line(text).level == level) }

    @Test("the root is writable unless the last of ro and rw says otherwise")
    func root() {
        #expect(!line("").keepsRootReadOnly)
        #expect(line("rw ro").keepsRootReadOnly)
        #expect(!line("ro rw").keepsRootReadOnly)
        #expect(!line("ro=1").keepsRootReadOnly)
        #expect(!line("ro apus.rw").keepsRootReadOnly)
    }

    @Test("what is checked")
    func check() {
        #expect(line("").checkMode == .auto)
        #expect(line("fsck.mode=force").checkMode == .force)
        #expect(line("fsck.mode=skip").checkMode == .skip)
        #expect(line("fsck.mode=nonsense").checkMode == .auto)
        #expect(line("forcefsck").checkMode == .force)
        #expect(line("fastboot fsck.mode=force").checkMode == .skip)
    }

    @Test("a name is one that a machine can have")
    func hostName() {
        #expect(line("hostname=a.b-1").hostName == "a.b-1")
        #expect(line("systemd.hostname=x").hostName == "x")
        for wrong in ["", "-a", ".a", "a_b", "ä", String(repeating: "a", count: 65)] {
            #expect(line("hostname=\(wrong)").hostName == nil)
        }
        #expect(HostName.inFile(Array("# name\n\n swift \n".utf8)) == "swift")
        #expect(HostName.inFile([]) == nil)
    }
}
