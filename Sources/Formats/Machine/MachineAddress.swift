import Bytes

/// A port that is reached without a network, of the host of a virtual machine say: `vsock:CONTEXT:PORT`, or, as systemd
/// writes it, `vsock-stream:CONTEXT:PORT`. vsock(7).
public struct MachineAddress: Equatable, Sendable {
    /// Whose port: 2 is the host's, 1 the machine's own.
    public let context: UInt32
    /// The port.
    public let port: UInt32

    /// Nil when `text` is none.
    public init?(_ text: ByteString) {
        let parts = text.parts(separatedBy: UInt8(ascii: ":"))
        guard parts.count == 3, parts[0] == "vsock" || parts[0] == "vsock-stream",
            let context = parseDecimal(parts[1], within: 0...Int(UInt32.max)),
            let port = parseDecimal(parts[2], within: 0...Int(UInt32.max))
        else { return nil }
        self.context = UInt32(context)
        self.port = UInt32(port)
    }
}

extension KernelCommandLine {
    /// Who is to be told that the machine is up: `apus.notify=`, or what systemd's machines are given by
    /// `systemd.set_credential=vmm.notify_socket:`.
    public var noticeAddress: ByteString? {
        if let address = self["apus.notify"] { return address }
        for credential in values(of: "systemd.set_credential") {
            if let (name, address) = credential.cut(at: UInt8(ascii: ":")),
                name == "vmm.notify_socket"
            {
                return address
            }
        }
        return nil
    }
}
