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
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        try lookUp("getpwnam", name) { getpwnam_r($0, &entry, $1, $2, &found) }
        return found == nil ? nil : Account(user: entry.pw_uid, group: entry.pw_gid)
    }

    /// The groups that the database has the user called `name` in, `primary` among them.
    /// getgrouplist(3).
    public static func groups(of name: ByteString, primary: UInt32) throws(SystemError)
        -> [UInt32]
    {
        // NGROUPS_MAX: there cannot be more.
        var count: Int32 = 65536
        var groups = [UInt32](repeating: 0, count: Int(count))
        _ = try Kernel.call("getgrouplist", name) { () -> Int32 in
            name.withCString { getgrouplist($0, primary, &groups, &count) }
        }
        return Array(groups[..<Int(count)])
    }
}

/// The id of the group called `name`; nil when the database, group(5), has none. getgrnam_r(3).
public func groupNamed(_ name: ByteString) throws(SystemError) -> UInt32? {
    var entry = group()
    var found: UnsafeMutablePointer<group>?
    try lookUp("getgrnam", name) { getgrnam_r($0, &entry, $1, $2, &found) }
    return found == nil ? nil : entry.gr_gid
}

/// Calls `body` with the name and room for the entry's text, more of it until it is enough.
private func lookUp(
    _ call: StaticString, _ name: ByteString,
    _ body: (UnsafePointer<CChar>, UnsafeMutablePointer<CChar>, Int) -> Int32
) throws(SystemError) {
    var room = 1024
    while true {
        let text = UnsafeMutablePointer<CChar>.allocate(capacity: room)
        defer { text.deallocate() }
        do throws(SystemError) {
            _ = try Kernel.call(call, name) { () -> Int32 in
                let code = name.withCString { body($0, text, room) }
                // The error is the result, not errno.
                if code == 0 { return 0 }
                cl_set_errno(code)
                return -1
            }
            return
        } catch {
            if error.errno == .noEntry { return }
            guard error.errno == Errno(ERANGE), room < 1 << 20 else { throw error }
            room *= 4
        }
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

    /// Becomes a member of `group`: real, effective and saved, or not at all. setresgid(2).
    public static func setGroup(_ group: UInt32) throws(SystemError) {
        _ = try Kernel.call("setgid") { setresgid(group, group, group) }
    }

    /// Becomes `user`: real, effective and saved, or not at all. setresuid(2).
    public static func setUser(_ user: UInt32) throws(SystemError) {
        _ = try Kernel.call("setuid") { setresuid(user, user, user) }
    }
}
