import Bytes
import Commands
import Linux

/// Whom to become, as far as it was said. Whoever names a user or a group has no group besides, unless
/// `groups` says so.
public struct Identity: Sendable {
    /// The supplementary groups.
    private enum Groups {
        /// These and no others.
        case these([UInt32])
        /// Those of the group database.
        case fromDatabase
    }

    /// The user id.
    public private(set) var user: UInt32?
    /// The user's name, where one was given.
    private var name: ByteString?
    /// The group of the user's account.
    private var primaryGroup: UInt32?
    /// The group that was given.
    private var givenGroup: UInt32?
    private var groups: Groups?

    /// This process's own.
    public init() {}

    /// The group id.
    var group: UInt32? { givenGroup ?? primaryGroup }

    /// `--user`: a name, whose account says the group; or a number; each with `:` and a group.
    public mutating func take(user text: ByteString) throws(Failure) {
        guard let (user, group) = text.cut(at: UInt8(ascii: ":")) else {
            return try take(userAlone: text)
        }
        try take(userAlone: user)
        try take(group: group)
    }

    private mutating func take(userAlone text: ByteString) throws(Failure) {
        if let number = Identity.number(text) {
            user = number
            name = nil
            primaryGroup = nil
        } else {
            try become(text)
        }
    }

    /// Becomes the account called `name`; there must be one.
    public mutating func become(_ name: ByteString) throws(Failure) {
        become(try Identity.account(named: name))
        self.name = name
    }

    /// Becomes that account, whose name is not known.
    public mutating func become(_ account: Account) {
        user = account.user
        primaryGroup = account.group
        name = nil
    }

    /// `--group`: a name or a number.
    mutating func take(group text: ByteString) throws(Failure) {
        givenGroup = try Identity.group(text)
    }

    /// `--groups`: names and numbers separated by commas, `none` or `database`.
    mutating func take(groups text: ByteString) throws(Failure) {
        if text == "database" { return groups = .fromDatabase }
        var list: [UInt32] = []
        if text != "none" {
            for name in text.parts(separatedBy: UInt8(ascii: ",")) {
                list.append(try Identity.group(name))
            }
        }
        groups = .these(list)
    }

    /// The account of that name; there must be one.
    public static func account(named name: ByteString) throws(Failure) -> Account {
        do throws(SystemError) {
            if let account = try Account.named(name) { return account }
        } catch { throw error.explained("unknown account \(name)") }
        throw Failure("unknown account \(name)")
    }

    private static func group(_ text: ByteString) throws(Failure) -> UInt32 {
        if let number = number(text) { return number }
        do throws(SystemError) {
            if let group = try groupNamed(text) { return group }
        } catch { throw error.explained("unknown group \(text)") }
        throw Failure("unknown group \(text)")
    }

    /// An id; the highest number means "as it is" to the kernel, and is none.
    private static func number(_ text: ByteString) -> UInt32? {
        parseDecimal(text, within: 0...Int(UInt32.max) - 1).map { UInt32($0) }
    }

    /// The supplementary groups that it comes to; nil for those that the process has.
    func supplementaryGroups() throws(Failure) -> [UInt32]? {
        if user != nil && group == nil {
            throw Failure("a user by number needs a group: --user UID:GROUP", exitCode: 100)
        }
        switch groups {
        case .these(let list): return list
        case .fromDatabase:
            guard let name, let group else {
                throw Failure("--groups database needs a user by name", exitCode: 100)
            }
            do throws(SystemError) { return try Account.groups(of: name, primary: group) } catch {
                throw error.explained("unable to read the groups of \(name)")
            }
        case nil: return group.map { [$0] }
        }
    }

    /// Makes this process what it says: groups, group, user, each of which the next would make
    /// impossible.
    func assume(_ groups: [UInt32]?) throws(Failure) {
        do throws(SystemError) {
            if let groups { try CurrentProcess.setGroups(groups) }
            if let group { try CurrentProcess.setGroup(group) }
        } catch { throw error.explained("unable to setgid") }
        do throws(SystemError) {
            if let user { try CurrentProcess.setUser(user) }
        } catch { throw error.explained("unable to setuid") }
    }
}
