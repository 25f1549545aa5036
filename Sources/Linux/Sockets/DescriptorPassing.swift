import Bytes
import CLinux

/// A message that hands a descriptor to another process over a UNIX-domain socket. It is all on the
/// stack. unix(7) SCM_RIGHTS.
public struct DescriptorMessage {
    // A byte to carry it, and the control message: length, level and type, descriptor.
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    /// An empty message.
    public init() {}

    /// Sends `descriptor`, which stays open here, and takes no memory for that. `mark` is an argument
    /// of the call that the kernel does not look at and a filter can. sendmsg(2).
    public mutating func send(_ descriptor: Int32, over socket: Int32, mark: UInt64)
        throws(SystemError)
    {
        words.1 = 20
        withUnsafeMutableBytes(of: &words) {
            $0.storeBytes(of: SOL_SOCKET, toByteOffset: 16, as: Int32.self)
            $0.storeBytes(of: Int32(SCM_RIGHTS), toByteOffset: 20, as: Int32.self)
            $0.storeBytes(of: descriptor, toByteOffset: 24, as: Int32.self)
        }
        _ = try Kernel.call("sendmsg") {
            withHeader {
                // Not libc's function, which takes no fourth argument.
                cl_syscall(Int(SYS_sendmsg), Int(socket), $0, 0, Int(bitPattern: UInt(mark)))
            }
        }
    }

    /// Waits for a descriptor; nil when the other end is closed without one. recvmsg(2).
    public mutating func receive(over socket: borrowing Descriptor) throws(SystemError)
        -> Descriptor?
    {
        let number = socket.number
        let closeOnExec = 0x4000_0000
        let count = try Kernel.call("recvmsg") {
            withHeader { cl_syscall(Int(SYS_recvmsg), Int(number), $0, closeOnExec, 0) }
        }
        if count == 0 || words.1 != 20 { return nil }
        return Descriptor(owning: Int32(truncatingIfNeeded: words.3))
    }

    private mutating func withHeader(_ body: (Int) -> Int) -> Int {
        withUnsafeMutableBytes(of: &words) { content in
            var vector = iovec(iov_base: content.baseAddress, iov_len: 1)
            return withUnsafeMutablePointer(to: &vector) { vector in
                var header = msghdr()
                header.msg_iov = vector
                header.msg_iovlen = 1
                header.msg_control = content.baseAddress.map { $0 + 8 }
                header.msg_controllen = 24
                return withUnsafeMutablePointer(to: &header) { body(Int(bitPattern: $0)) }
            }
        }
    }
}

/// Makes two UNIX-domain sockets that are connected to each other, do not wait, and keep what is sent at once together.
/// socketpair(2) SOCK_SEQPACKET.
public func makeUnixPacketPair() throws(SystemError) -> (Int32, Int32) {
    var ends: (Int32, Int32) = (-1, -1)
    // A macro in one libc and an enumeration in the other.
    let packets: Int32 = 5
    let kind = packets | Int32(CL_SOCK_NONBLOCK) | Int32(CL_SOCK_CLOEXEC)
    _ = try Kernel.call("socketpair") {
        withUnsafeMutableBytes(of: &ends) {
            socketpair(AF_UNIX, kind, 0, $0.baseAddress?.assumingMemoryBound(to: Int32.self))
        }
    }
    return ends
}

/// Sends `bytes` and a descriptor, which stays open here, in one packet; throws EAGAIN where there is no room for it.
/// sendmsg(2).
public func send(_ descriptor: Int32, with bytes: [UInt8], over socket: Int32) throws(SystemError) {
    var control: (UInt64, UInt64, UInt64) = (20, 0, 0)
    var bytes = bytes
    _ = try Kernel.call("sendmsg") {
        bytes.withUnsafeMutableBytes { content in
            withUnsafeMutableBytes(of: &control) { control in
                control.storeBytes(of: SOL_SOCKET, toByteOffset: 8, as: Int32.self)
                control.storeBytes(of: Int32(SCM_RIGHTS), toByteOffset: 12, as: Int32.self)
                control.storeBytes(of: descriptor, toByteOffset: 16, as: Int32.self)
                var vector = iovec(iov_base: content.baseAddress, iov_len: content.count)
                return withUnsafeMutablePointer(to: &vector) { vector in
                    var header = msghdr()
                    header.msg_iov = vector
                    header.msg_iovlen = 1
                    header.msg_control = control.baseAddress
                    header.msg_controllen = 24
                    return sendmsg(socket, &header, Int32(MSG_NOSIGNAL))
                }
            }
        }
    }
}
