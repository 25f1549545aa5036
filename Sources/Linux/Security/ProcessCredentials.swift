import Bytes
import CLinux

/// Real, effective and saved id of a process.
public struct ProcessIDs: Equatable, Sendable {
    /// Who started it.
    public let real: UInt32
    /// Whose rights it has.
    public let effective: UInt32
    /// What it may become again.
    public let saved: UInt32

    /// Whether one of them is `id`.
    public func include(_ id: UInt32) -> Bool { real == id || effective == id || saved == id }

    /// Whether all of them are `id`.
    public func areAll(_ id: UInt32) -> Bool { real == id && effective == id && saved == id }
}

extension CurrentProcess {
    /// Its real user.
    public static var user: UInt32 { getuid() }

    /// Its real group.
    public static var group: UInt32 { getgid() }

    /// Its effective group.
    public static var effectiveGroup: UInt32 { getegid() }

    /// Its users. getresuid(2).
    public static func users() throws(SystemError) -> ProcessIDs {
        var (real, effective, saved): (UInt32, UInt32, UInt32) = (0, 0, 0)
        _ = try Kernel.call("getresuid") { getresuid(&real, &effective, &saved) }
        return ProcessIDs(real: real, effective: effective, saved: saved)
    }

    /// Its supplementary groups. getgroups(2).
    public static func supplementaryGroups() throws(SystemError) -> [UInt32] {
        // NGROUPS_MAX: there cannot be more.
        var groups = [UInt32](repeating: 0, count: 65536)
        let count = try Kernel.call("getgroups") { getgroups(Int32(groups.count), &groups) }
        return Array(groups[..<Int(count)])
    }

    /// Replaces its supplementary groups and, unless `primary` is nil, becomes a member of that group:
    /// real, effective and saved. A process that is in these groups already, and in no other, needs no
    /// privilege for it. setgroups(2), setresgid(2).
    public static func setGroups(_ groups: [UInt32], primary: UInt32?) throws(SystemError) {
        do throws(SystemError) {
            _ = try Kernel.call("setgroups") { setgroups(groups.count, groups) }
        } catch {
            guard error.errno == .notPermitted,
                try hasMembership(of: groups, primary: primary ?? getegid())
            else { throw error }
        }
        if let primary { try setGroup(primary) }
    }

    /// Whether `groups` would change nothing for a member of `primary`: permissions are the same
    /// whether a group is the primary one, a supplementary one, or both.
    private static func hasMembership(of groups: [UInt32], primary: UInt32)
        throws(SystemError) -> Bool
    {
        let now = try supplementaryGroups()
        return now.allSatisfy { $0 == primary || groups.contains($0) }
            && groups.allSatisfy { $0 == primary || now.contains($0) }
    }

    /// Becomes a member of `group`: real, effective and saved, or not at all. setresgid(2).
    public static func setGroup(_ group: UInt32) throws(SystemError) {
        _ = try Kernel.call("setgid") { setresgid(group, group, group) }
    }

    /// Becomes `user`: real, effective and saved, or not at all. setresuid(2).
    public static func setUser(_ user: UInt32) throws(SystemError) {
        _ = try Kernel.call("setuid") { setresuid(user, user, user) }
    }
}

extension CurrentProcess {
    /// Whether its effective user or group has changed since the last exec. Until the next one the
    /// kernel then keeps its files in /proc from everybody but root. getauxval(3).
    public static var hasChangedIDs: Bool {
        UInt(geteuid()) != getauxval(UInt(AT_EUID)) || UInt(getegid()) != getauxval(UInt(AT_EGID))
    }
}
