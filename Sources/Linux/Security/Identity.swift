import Bytes
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
        return try lookUp("getpwnam", name) { text, room in
            name.withCString { getpwnam_r($0, &entry, text, room, &found) }
        } found: {
            found == nil ? nil : Account(user: entry.pw_uid, group: entry.pw_gid)
        }
    }

    /// The account of a user; nil when the database has none. getpwuid_r(3).
    public static func of(user: UInt32) throws(SystemError) -> Account? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        return try lookUp("getpwuid") {
            getpwuid_r(user, &entry, $0, $1, &found)
        } found: {
            found == nil ? nil : Account(user: entry.pw_uid, group: entry.pw_gid)
        }
    }

    /// The name of a user; nil when the database has none. getpwuid_r(3).
    public static func name(of user: UInt32) throws(SystemError) -> ByteString? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        return try lookUp("getpwuid") {
            getpwuid_r(user, &entry, $0, $1, &found)
        } found: {
            found == nil ? nil : ByteString(cString: entry.pw_name)
        }
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
    return try lookUp("getgrnam", name) { text, room in
        name.withCString { getgrnam_r($0, &entry, text, room, &found) }
    } found: {
        found == nil ? nil : entry.gr_gid
    }
}

/// The name of a group; nil when the database has none. getgrgid_r(3).
public func groupName(of id: UInt32) throws(SystemError) -> ByteString? {
    var entry = group()
    var found: UnsafeMutablePointer<group>?
    return try lookUp("getgrgid") {
        getgrgid_r(id, &entry, $0, $1, &found)
    } found: {
        found == nil ? nil : ByteString(cString: entry.gr_name)
    }
}

/// Calls `body` with room for the entry's text, more of it until it is enough, and then `found`, while
/// the text is there.
private func lookUp<Result>(
    _ call: StaticString, _ name: ByteString? = nil,
    _ body: (UnsafeMutablePointer<CChar>, Int) -> Int32, found: () -> Result?
) throws(SystemError) -> Result? {
    var room = 1024
    while true {
        let text = UnsafeMutablePointer<CChar>.allocate(capacity: room)
        defer { text.deallocate() }
        do throws(SystemError) {
            _ = try Kernel.call(call, name) { () -> Int32 in
                let code = body(text, room)
                // The error is the result, not errno.
                if code == 0 { return 0 }
                cl_set_errno(code)
                return -1
            }
            return found()
        } catch {
            if error.errno == .noEntry { return nil }
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
