import Bytes
import CLinux

/// What the kernel restricts a process to with Landlock, landlock(7): everything handled here is
/// denied but for what rules allow.
public struct LandlockHandled: Equatable, Sendable {
    /// Rights to files, LANDLOCK_ACCESS_FS_*.
    public var files: UInt64 = 0
    /// Rights to TCP ports, LANDLOCK_ACCESS_NET_*.
    public var ports: UInt64 = 0
    /// What is kept within the process and its descendants, LANDLOCK_SCOPE_*.
    public var scopes: UInt64 = 0

    /// Nothing.
    public init() {}
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
        let attributes = [handled.files, handled.ports, handled.scopes]
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
    public func allow(_ rights: UInt64, beneath place: borrowing Descriptor) throws(SystemError) {
        // The descriptor is half as wide as a port; both begin with the lowest byte.
        try add(type: 1, rights, UInt64(UInt32(bitPattern: place.number)))
    }

    /// Allows `rights` to a TCP port. landlock_add_rule(2).
    public func allow(_ rights: UInt64, port: UInt16) throws(SystemError) {
        try add(type: 2, rights, UInt64(port))
    }

    private func add(type: Int, _ rights: UInt64, _ object: UInt64) throws(SystemError) {
        let attributes = [rights, object]
        let number = Int(descriptor.number)
        _ = try Kernel.call("landlock_add_rule") {
            attributes.withUnsafeBytes {
                cl_syscall(
                    Int(SYS_landlock_add_rule), number, type, Int(bitPattern: $0.baseAddress), 0)
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
