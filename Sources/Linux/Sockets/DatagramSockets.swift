import Bytes
import CLinux

@_extern(c, "sendto")
private func systemSend(
    _: Int32, _: UnsafeRawPointer, _: Int, _: Int32, _: UnsafePointer<sockaddr>, _: UInt32
) -> Int

/// Sends `bytes` as one datagram, without waiting. sendto(2).
public func send(
    _ bytes: [UInt8], through socket: borrowing Descriptor, to address: SocketAddress
) throws(SystemError) {
    let number = socket.number
    _ = try Kernel.call("sendto") { () -> Int in
        bytes.withUnsafeBytes { buffer in
            address.withRaw {
                systemSend(
                    number, buffer.baseAddress ?? UnsafeRawPointer($0), buffer.count,
                    Int32(CL_MSG_DONTWAIT), $0, $1)
            }
        }
    }
}

/// Makes a UDP socket. socket(2).
public func makeDatagramSocket(isIPv6: Bool) throws(SystemError) -> Descriptor {
    let kind = Int32(CL_SOCK_DGRAM | CL_SOCK_CLOEXEC)
    return Descriptor(
        owning: try Kernel.call("socket") { socket(isIPv6 ? AF_INET6 : AF_INET, kind, 0) })
}
