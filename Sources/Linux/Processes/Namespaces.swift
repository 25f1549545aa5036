import Bytes
import CLinux

/// Kinds of namespaces, namespaces(7), as bits of clone(2).
public struct Namespaces: OptionSet, Sendable {
    /// The kernel's bits, CLONE_NEW*.
    public let rawValue: Int32

    /// Namespaces of the kernel's bits.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// What is mounted where.
    public static let mount = Namespaces(rawValue: 0x2_0000)
    /// The names of host and domain.
    public static let hostName = Namespaces(rawValue: 0x400_0000)
    /// System V objects and POSIX message queues.
    public static let communication = Namespaces(rawValue: 0x800_0000)
    /// Users, groups and capabilities.
    public static let user = Namespaces(rawValue: 0x1000_0000)
    /// Processes: what is started from now on, and not the process itself.
    public static let process = Namespaces(rawValue: 0x2000_0000)
    /// Interfaces, addresses and ports.
    public static let network = Namespaces(rawValue: 0x4000_0000)
}

extension CurrentProcess {
    /// Moves this process into new namespaces, which it and what it starts have for themselves. unshare(2).
    public static func startNamespaces(_ namespaces: Namespaces) throws(SystemError) {
        _ = try Kernel.call("unshare") { unshare(namespaces.rawValue) }
    }
}
