import Bytes
import CLinux

/// The kernel's table of links, addresses and routes. rtnetlink(7).
public struct RouteSocket: ~Copyable {
    private let descriptor: Descriptor

    /// Opens it. socket(2).
    public init() throws(SystemError) {
        // AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE
        descriptor = Descriptor(
            owning: try Kernel.call("socket") { socket(16, Int32(3) | Int32(CL_SOCK_CLOEXEC), 0) })
    }

    /// Sends a request and returns the kernel's answer to it, which is there at once.
    public borrowing func ask(_ request: [UInt8]) throws(SystemError) -> [UInt8] {
        let number = descriptor.number
        _ = try Kernel.call("send") {
            request.withUnsafeBytes { send(number, $0.baseAddress, $0.count, 0) }
        }
        var answer = [UInt8](repeating: 0, count: 4096)
        let count = try Kernel.call("recv") {
            answer.withUnsafeMutableBytes { recv(number, $0.baseAddress, $0.count, 0) }
        }
        return Array(answer[..<count])
    }
}
