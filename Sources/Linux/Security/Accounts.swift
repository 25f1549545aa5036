import Bytes
import CLinux

/// A user of the password database, passwd(5).
public struct Account: Equatable, Sendable {
    /// The login name.
    public let name: ByteString
    /// The user id.
    public let user: UInt32
    /// The id of the primary group.
    public let group: UInt32
    /// The home directory.
    public let home: ByteString
    /// The login shell; `/bin/sh` where the database names none, as login(1) has it.
    public let shell: ByteString

    private init(_ entry: passwd) {
        name = ByteString(cString: entry.pw_name)
        user = entry.pw_uid
        group = entry.pw_gid
        home = ByteString(cString: entry.pw_dir)
        let shell = ByteString(cString: entry.pw_shell)
        self.shell = shell.isEmpty ? "/bin/sh" : shell
    }

    /// The account called `name`; nil when the database has none. getpwnam_r(3).
    public static func named(_ name: ByteString) throws(SystemError) -> Account? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        return try lookUp("getpwnam", name) { text, room in
            name.withCString { getpwnam_r($0, &entry, text, room, &found) }
        } found: {
            found == nil ? nil : Account(entry)
        }
    }

    /// The first account with the user id `user`; nil when the database has none. getpwuid_r(3).
    public static func numbered(_ user: UInt32) throws(SystemError) -> Account? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        return try lookUp("getpwuid") { text, room in
            getpwuid_r(user, &entry, text, room, &found)
        } found: {
            found == nil ? nil : Account(entry)
        }
    }

    /// The groups that the database lists the account in, and `primary`. getgrouplist(3).
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

/// A group of the group database, group(5).
public struct Group: Equatable, Sendable {
    /// The group's name.
    public let name: ByteString
    /// The group id.
    public let number: UInt32

    private init(_ entry: group) {
        name = ByteString(cString: entry.gr_name)
        number = entry.gr_gid
    }

    /// The group called `name`; nil when the database has none. getgrnam_r(3).
    public static func named(_ name: ByteString) throws(SystemError) -> Group? {
        var entry = group()
        var found: UnsafeMutablePointer<group>?
        return try lookUp("getgrnam", name) { text, room in
            name.withCString { getgrnam_r($0, &entry, text, room, &found) }
        } found: {
            found == nil ? nil : Group(entry)
        }
    }

    /// The first group with the id `number`; nil when the database has none. getgrgid_r(3).
    public static func numbered(_ number: UInt32) throws(SystemError) -> Group? {
        var entry = group()
        var found: UnsafeMutablePointer<group>?
        return try lookUp("getgrgid") { text, room in
            getgrgid_r(number, &entry, text, room, &found)
        } found: {
            found == nil ? nil : Group(entry)
        }
    }
}

/// Calls `body` with room for the entry's text, and with more of it until it is enough; then calls
/// `found` while the text is there.
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
