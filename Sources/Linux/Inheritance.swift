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

/// A copy of standard input whose number is higher than those of all descriptors open now. Throws
/// without /proc.
public func descriptorAboveAll() throws(SystemError) -> Descriptor {
    let highest = try entries(of: "/proc/self/fd").reduce(0) {
        max($0, Int32(scanDecimal($1.bytes).value))
    }
    return Descriptor(
        owning: try Kernel.call("fcntl") {
            cl_fcntl(Standard.input, F_DUPFD_CLOEXEC, highest + 1)
        })
}
