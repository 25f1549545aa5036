import Bytes
import CLinux

/// Descriptors that are meant to outlive an exec.
extension Descriptor {
    /// Lets the program that this process becomes have it, and what that one starts. The caller
    /// releases it, or it is closed with its owner. fcntl(2) F_SETFD.
    public borrowing func keepOnExec() throws(SystemError) {
        let number = number
        _ = try Kernel.call("fcntl") { cl_fcntl(number, F_SETFD, 0) }
    }

    /// Makes a copy that an exec keeps and that nobody owns; returns its number. fcntl(2) F_DUPFD.
    @discardableResult
    public borrowing func copyForExec() throws(SystemError) -> Int32 {
        let number = number
        return try Kernel.call("fcntl") { cl_fcntl(number, F_DUPFD, 0) }
    }
}

/// A copy of standard input whose number is higher than those of all descriptors open now, for
/// `ChildSetup.closeFrom`. Throws without /proc, and where close_range(2) is not to be had: on a Linux
/// before 5.9, or under a filter of system calls.
public func descriptorAboveAll() throws(SystemError) -> Descriptor {
    // As there are none so high, this does nothing if it works.
    _ = try Kernel.call("close_range") { cl_close_from(UInt32(Int32.max)) }
    let highest = try entries(of: "/proc/self/fd").reduce(0) {
        max($0, Int32(scanDecimal($1.bytes).value))
    }
    return Descriptor(
        owning: try Kernel.call("fcntl") {
            cl_fcntl(Standard.input, F_DUPFD_CLOEXEC, highest + 1)
        })
}
