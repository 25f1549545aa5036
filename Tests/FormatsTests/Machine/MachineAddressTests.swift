import Bytes
import Formats
import Testing

@Suite("Who is told that a machine is up")
struct MachineAddressTests {
    @Test("a context and a port", arguments: ["vsock:2:1234", "vsock-stream:2:1234"])
    func address(text: String) {
        let address = MachineAddress(ByteString(Array(text.utf8)))
        #expect(address?.context == 2 && address?.port == 1234)
    }

    @Test("the largest numbers are numbers")
    func largest() {
        let address = MachineAddress("vsock:4294967295:4294967295")
        #expect(address?.context == .max && address?.port == .max)
    }

    @Test(
        "anything else is none",
        arguments: [
            "", "vsock", "vsock:2", "vsock:2:", "vsock::1", "vsock:2:1:0", "vsock:-1:1",
            "vsock:2:x", "vsock:2:4294967296", "unix:2:1",
            "/run/notify", "@notify", "vsock-dgram:2:1",
        ])
    func none(text: String) { #expect(MachineAddress(ByteString(Array(text.utf8))) == nil) }

    @Test("where the command line says it")
    func commandLine() {
        func line(_ text: String) -> KernelCommandLine { KernelCommandLine(Array(text.utf8)) }
        #expect(line("quiet").noticeAddress == nil)
        #expect(line("apus.notify=vsock:2:1").noticeAddress == "vsock:2:1")
        let credentials =
            "systemd.set_credential=a:b systemd.set_credential=vmm.notify_socket:vsock:2:5"
        #expect(line(credentials).noticeAddress == "vsock:2:5")
        #expect(line("apus.notify=vsock:2:1 \(credentials)").noticeAddress == "vsock:2:1")
        #expect(line("systemd.set_credential=vmm.notify_socket").noticeAddress == nil)
    }
}
