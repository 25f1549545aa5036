import CLinux

/// A user of the password database, passwd(5).
public struct Account: Equatable, Sendable {
    /// The user id.
    public let user: UInt32
    /// The id of the primary group.
    public let group: UInt32

    /// Names the two ids directly.
    public init(user: UInt32, group: UInt32) {
        self.user = user
        self.group = group
    }

    /// The account called `name`; nil when the database has none. getpwnam_r(3).
    public static func named(_ name: ByteString) throws(SystemError) -> Account? {
        var room = 1024
        while true {
            do throws(SystemError) { return try lookUp(name, room: room) } catch {
                if error.errno == .noEntry { return nil }
                guard error.errno == Errno(ERANGE), room < 1 << 20 else { throw error }
                room *= 4
            }
        }
    }

    private static func lookUp(_ name: ByteString, room: Int) throws(SystemError) -> Account? {
        var entry = passwd()
        var text = [CChar](repeating: 0, count: room)
        var found: UnsafeMutablePointer<passwd>?
        _ = try Kernel.call("getpwnam", name) { () -> Int32 in
            let code = name.withCString { getpwnam_r($0, &entry, &text, room, &found) }
            // The error is the result, not errno.
            if code == 0 { return 0 }
            cl_set_errno(code)
            return -1
        }
        return found == nil ? nil : Account(user: entry.pw_uid, group: entry.pw_gid)
    }
}

extension CurrentProcess {
    /// Its real user.
    public static var user: UInt32 { getuid() }

    /// Its real group.
    public static var group: UInt32 { getgid() }

    /// Replaces its supplementary groups. setgroups(2).
    public static func setGroups(_ groups: [UInt32]) throws(SystemError) {
        _ = try Kernel.call("setgroups") { setgroups(groups.count, groups) }
    }

    /// Becomes a member of `group`: real, effective and saved where the caller may. setgid(2).
    public static func setGroup(_ group: UInt32) throws(SystemError) {
        _ = try Kernel.call("setgid") { setgid(group) }
    }

    /// Becomes `user`: real, effective and saved where the caller may. setuid(2).
    public static func setUser(_ user: UInt32) throws(SystemError) {
        _ = try Kernel.call("setuid") { setuid(user) }
    }
}
