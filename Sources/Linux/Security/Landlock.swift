import Bytes
import CLinux

/// What the kernel restricts a process to with Landlock, landlock(7): everything handled here is
/// denied but for what rules allow.
public struct LandlockHandled: Equatable, Sendable {
    /// Rights to files.
    public var files: LandlockFileAccess = []
    /// Rights to TCP ports.
    public var ports: LandlockPortAccess = []
    /// What is kept within the process and its descendants, LANDLOCK_SCOPE_*.
    public var scopes: UInt64 = 0

    /// Nothing.
    public init() {}
}

/// Rights to files, LANDLOCK_ACCESS_FS_*, of which the kernel's headers may have only some.
public struct LandlockFileAccess: OptionSet, Sendable {
    /// The kernel's bits.
    public let rawValue: UInt64

    /// Rights of the kernel's bits.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// All rights that a version of the interface has; none for version 0.
    public init(version: Int) {
        let last: LandlockFileAccess? =
            switch version {
            case ...0: nil
            case 1: .makeSymbolicLink
            case 2: .refer
            case 3, 4: .truncate
            default: .controlDevice
            }
        rawValue = last.map { $0.rawValue << 1 - 1 } ?? 0
    }

    /// EXECUTE.
    public static let execute = LandlockFileAccess(rawValue: 1 << 0)
    /// WRITE_FILE.
    public static let writeFile = LandlockFileAccess(rawValue: 1 << 1)
    /// READ_FILE.
    public static let readFile = LandlockFileAccess(rawValue: 1 << 2)
    /// READ_DIR.
    public static let readDirectory = LandlockFileAccess(rawValue: 1 << 3)
    /// REMOVE_DIR.
    public static let removeDirectory = LandlockFileAccess(rawValue: 1 << 4)
    /// REMOVE_FILE.
    public static let removeFile = LandlockFileAccess(rawValue: 1 << 5)
    /// MAKE_CHAR.
    public static let makeCharacterDevice = LandlockFileAccess(rawValue: 1 << 6)
    /// MAKE_DIR.
    public static let makeDirectory = LandlockFileAccess(rawValue: 1 << 7)
    /// MAKE_REG.
    public static let makeRegularFile = LandlockFileAccess(rawValue: 1 << 8)
    /// MAKE_SOCK.
    public static let makeSocket = LandlockFileAccess(rawValue: 1 << 9)
    /// MAKE_FIFO.
    public static let makeFIFO = LandlockFileAccess(rawValue: 1 << 10)
    /// MAKE_BLOCK.
    public static let makeBlockDevice = LandlockFileAccess(rawValue: 1 << 11)
    /// MAKE_SYM.
    public static let makeSymbolicLink = LandlockFileAccess(rawValue: 1 << 12)
    /// REFER: renaming and linking between directories; since version 2.
    public static let refer = LandlockFileAccess(rawValue: 1 << 13)
    /// TRUNCATE; since version 3.
    public static let truncate = LandlockFileAccess(rawValue: 1 << 14)
    /// IOCTL_DEV; since version 5.
    public static let controlDevice = LandlockFileAccess(rawValue: 1 << 15)
}

/// Rights to TCP ports, LANDLOCK_ACCESS_NET_*; since version 4.
public struct LandlockPortAccess: OptionSet, Sendable {
    /// The kernel's bits.
    public let rawValue: UInt64

    /// Rights of the kernel's bits.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// BIND_TCP.
    public static let bind = LandlockPortAccess(rawValue: 1 << 0)
    /// CONNECT_TCP.
    public static let connect = LandlockPortAccess(rawValue: 1 << 1)
}

/// What stays within a process and its descendants, LANDLOCK_SCOPE_*; since version 6.
public enum LandlockScope {
    /// Connections to abstract UNIX sockets.
    public static let abstractUnixSocket: UInt64 = 1 << 0
    /// Signals.
    public static let signal: UInt64 = 1 << 1
}

/// A set of Landlock rules on its way to be put in force.
public final class LandlockRuleset {
    private let descriptor: Descriptor

    /// The version of the interface that the kernel offers; 0 where it has none or has it switched off.
    /// landlock_create_ruleset(2).
    public static func version() throws(SystemError) -> Int {
        do throws(SystemError) {
            // LANDLOCK_CREATE_RULESET_VERSION.
            return try Kernel.call("landlock_create_ruleset") {
                cl_syscall(Int(SYS_landlock_create_ruleset), 0, 0, 1, 0)
            }
        } catch {
            if error.errno == .noSystemCall || error.errno == Errno(EOPNOTSUPP) { return 0 }
            throw error
        }
    }

    /// A set without rules. landlock_create_ruleset(2).
    public init(_ handled: LandlockHandled) throws(SystemError) {
        let attributes = [handled.files.rawValue, handled.ports.rawValue, handled.scopes]
        let number = try Kernel.call("landlock_create_ruleset") {
            attributes.withUnsafeBytes {
                cl_syscall(
                    Int(SYS_landlock_create_ruleset), Int(bitPattern: $0.baseAddress), $0.count, 0,
                    0)
            }
        }
        descriptor = Descriptor(owning: Int32(truncatingIfNeeded: number))
    }

    /// Allows `rights` to what is open as `place` and beneath. landlock_add_rule(2).
    public func allow(_ rights: LandlockFileAccess, beneath place: borrowing Descriptor)
        throws(SystemError)
    {
        // The descriptor is half as wide as a port; both begin with the lowest byte.
        try add(.pathBeneath, rights.rawValue, UInt64(UInt32(bitPattern: place.number)))
    }

    /// Allows `rights` to a TCP port. landlock_add_rule(2).
    public func allow(_ rights: LandlockPortAccess, port: UInt16) throws(SystemError) {
        try add(.port, rights.rawValue, UInt64(port))
    }

    /// enum landlock_rule_type.
    private enum RuleType: Int {
        case pathBeneath = 1
        case port = 2
    }

    private func add(_ type: RuleType, _ rights: UInt64, _ object: UInt64) throws(SystemError) {
        let attributes = [rights, object]
        let number = Int(descriptor.number)
        _ = try Kernel.call("landlock_add_rule") {
            attributes.withUnsafeBytes {
                cl_syscall(
                    Int(SYS_landlock_add_rule), number, type.rawValue,
                    Int(bitPattern: $0.baseAddress), 0)
            }
        }
    }

    /// Restricts this process and its descendants, for good. The kernel wants no_new_privs or
    /// CAP_SYS_ADMIN. landlock_restrict_self(2).
    public func restrict() throws(SystemError) {
        let number = Int(descriptor.number)
        _ = try Kernel.call("landlock_restrict_self") {
            cl_syscall(Int(SYS_landlock_restrict_self), number, 0, 0, 0)
        }
    }
}
