import Bytes
import CLinux

/// Connects to a port of a machine that shares the hardware, the host for one. vsock(7).
public func connectToMachine(context: UInt32, port: UInt32) throws(SystemError) -> Descriptor {
    // AF_VSOCK
    let family: Int32 = 40
    let kind = Int32(CL_SOCK_STREAM | CL_SOCK_CLOEXEC)
    let descriptor = Descriptor(
        owning: try Kernel.call("socket") { socket(family, kind, 0) })
    let number = descriptor.number
    _ = try Kernel.call("connect") {
        // struct sockaddr_vm: the family, nothing, the port, the context, and nothing up to the size of sockaddr.
        withUnsafeTemporaryAllocation(byteCount: 16, alignment: 8) { raw in
            raw.initializeMemory(as: UInt8.self, repeating: 0)
            raw.storeBytes(of: UInt16(family), as: UInt16.self)
            raw.storeBytes(of: port, toByteOffset: 4, as: UInt32.self)
            raw.storeBytes(of: context, toByteOffset: 8, as: UInt32.self)
            let address = raw.assumingMemoryBound(to: sockaddr.self).baseAddress
            return systemConnect(number, UnsafePointer(address.unsafelyUnwrapped), 16)
        }
    }
    return descriptor
}
