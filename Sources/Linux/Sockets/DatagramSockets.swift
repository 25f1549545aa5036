import Bytes
import CLinux

/// Makes a UDP socket. socket(2).
public func makeDatagramSocket(isIPv6: Bool) throws(SystemError) -> Descriptor {
    let kind = Int32(CL_SOCK_DGRAM | CL_SOCK_CLOEXEC)
    return Descriptor(
        owning: try Kernel.call("socket") { socket(isIPv6 ? AF_INET6 : AF_INET, kind, 0) })
}
