import Bytes
import CLinux

/// A system call that a filter has announced, and that waits for an answer. struct seccomp_notif.
public struct SystemCallNotice {
    // Its id; the thread and flags; then struct seccomp_data: number and architecture, where it was
    // made, six arguments.
    private let words: [UInt64]

    /// SECCOMP_IOCTL_NOTIF_*, macros with casts, which Swift does not import.
    fileprivate enum Request: Int {
        case receive = 0xc050_2100
        case send = 0xc018_2101
        case isIDValid = 0x4008_2102
    }

    /// Takes the next from a listener. ENOENT means that who called is gone. ioctl(2)
    /// SECCOMP_IOCTL_NOTIF_RECV.
    public init(from listener: borrowing Descriptor) throws(SystemError) {
        var words = [UInt64](repeating: 0, count: 10)
        try control(listener, .receive, &words)
        self.words = words
    }

    /// Who calls: a thread's id, 0 for one in a process namespace that is not to be seen from here.
    public var process: ProcessID {
        words.withUnsafeBytes { $0.load(fromByteOffset: 8, as: Int32.self) }
    }
    /// The call's number.
    public var number: UInt32 { word(at: 0) ?? 0 }
    /// Whose calls it is one of, AUDIT_ARCH_*.
    public var architecture: UInt32 { word(at: 4) ?? 0 }
    /// Its six arguments.
    public var arguments: ArraySlice<UInt64> { words[4...] }

    /// The 32 bits at an offset of struct seccomp_data; nil where there are none.
    public func word(at offset: UInt32) -> UInt32? {
        guard offset <= 60, offset % 4 == 0 else { return nil }
        return words.withUnsafeBytes { $0.load(fromByteOffset: 16 + Int(offset), as: UInt32.self) }
    }

    /// Whether who called still waits, so that its id is no other's by now. ioctl(2)
    /// SECCOMP_IOCTL_NOTIF_ID_VALID.
    public func isWaiting(on listener: borrowing Descriptor) throws(SystemError) -> Bool {
        var id = [words[0]]
        do throws(SystemError) { try control(listener, .isIDValid, &id) } catch {
            if error.errno == .noEntry { return false }
            throw error
        }
        return true
    }

    /// Lets the call be made, or makes it fail with an error. That who called is gone meanwhile is no
    /// error. ioctl(2) SECCOMP_IOCTL_NOTIF_SEND.
    public func answer(_ errno: Errno?, to listener: borrowing Descriptor) throws(SystemError) {
        // struct seccomp_notif_resp: id, value, error and the flag that lets the call be made.
        var response = [words[0], 0, 0]
        response.withUnsafeMutableBytes {
            $0.storeBytes(of: errno.map { -$0.code } ?? 0, toByteOffset: 16, as: Int32.self)
            $0.storeBytes(of: errno == nil ? 1 : 0, toByteOffset: 20, as: UInt32.self)
        }
        do throws(SystemError) { try control(listener, .send, &response) } catch {
            if error.errno != .noEntry { throw error }
        }
    }
}

private func control(
    _ listener: borrowing Descriptor, _ request: SystemCallNotice.Request, _ words: inout [UInt64]
) throws(SystemError) {
    let number = listener.number
    _ = try Kernel.call("ioctl") {
        words.withUnsafeMutableBytes {
            cl_syscall(
                Int(SYS_ioctl), Int(number), request.rawValue, Int(bitPattern: $0.baseAddress), 0)
        }
    }
}
