import Bytes
import Commands
import Linux

/// The user and the groups that a program is to have, as far as they were named. Whoever names a user
/// or a group is in no other group, unless `groups` says so.
public struct Credentials: Sendable {
    /// The supplementary groups.
    private enum Groups {
        /// These and no others.
        case these([UInt32])
        /// Those of the group database.
        case fromDatabase
        /// Those that the process has.
        case kept
    }

    /// The user id.
    public private(set) var user: UInt32?
    /// The user's account, where it was given by name.
    private var account: Account?
    /// The group that was given, by itself or with a user's number.
    private var givenGroup: UInt32?
    private var groups: Groups?
    /// Whether the environment is to be that of the account.
    var setsVariables = false

    /// Those of this process.
    public init() {}

    /// The group id.
    public var group: UInt32? { givenGroup ?? account?.group }

    /// `--user`: a name, whose account says the group; or a number; each with `:` and a group.
    public mutating func take(user text: ByteString) throws(Failure) {
        guard let (name, group) = text.cut(at: UInt8(ascii: ":")) else {
            return try take(userAlone: text)
        }
        try take(userAlone: name)
        try take(group: group)
    }

    private mutating func take(userAlone text: ByteString) throws(Failure) {
        switch try UserOrGroup(text, "user") {
        case .number(let number):
            user = number
            account = nil
        case .name(let name): try become(accountNamed: name)
        case .perhapsName(let name):
            // An account may be called 3com.
            guard let account = try Credentials.find(name) else {
                throw Failure("bad user \(name)", exitCode: 100)
            }
            become(account)
        }
    }

    /// Becomes the account called `name`; there must be one.
    public mutating func become(accountNamed name: ByteString) throws(Failure) {
        become(try Credentials.account(named: name))
    }

    private mutating func become(_ account: Account) {
        user = account.user
        self.account = account
    }

    /// Becomes a user and a group given by their numbers.
    public mutating func become(user: UInt32, group: UInt32) {
        self.user = user
        account = nil
        givenGroup = group
    }

    /// Becomes a user and these groups, of which the first is the primary one.
    public mutating func become(_ user: UserAndGroups) {
        become(user: user.user, group: user.groups[0])
        groups = .these(user.groups)
    }

    /// `--group`: a name or a number.
    mutating func take(group text: ByteString) throws(Failure) {
        givenGroup = try Credentials.group(text)
    }

    /// `--groups`: names and numbers separated by commas, `none`, `database` or `keep`.
    mutating func take(groups text: ByteString) throws(Failure) {
        if text == "database" { return groups = .fromDatabase }
        if text == "keep" { return groups = .kept }
        var list: [UInt32] = []
        if text != "none" {
            for name in text.parts(separatedBy: UInt8(ascii: ",")) {
                list.append(try Credentials.group(name))
            }
        }
        groups = .these(list)
    }

    /// The account of that name; there must be one.
    public static func account(named name: ByteString) throws(Failure) -> Account {
        if let account = try find(name) { return account }
        throw Failure("unknown account \(name)")
    }

    private static func find(_ name: ByteString) throws(Failure) -> Account? {
        do throws(SystemError) { return try Account.named(name) } catch {
            throw error.explained("unknown account \(name)")
        }
    }

    private static func group(_ text: ByteString) throws(Failure) -> UInt32 {
        let name: ByteString
        let isPerhapsNumber: Bool
        switch try UserOrGroup(text, "group") {
        case .number(let number): return number
        case .name(let text): (name, isPerhapsNumber) = (text, false)
        case .perhapsName(let text): (name, isPerhapsNumber) = (text, true)
        }
        do throws(SystemError) {
            if let group = try Group.named(name) { return group.number }
        } catch { throw error.explained("unknown group \(name)") }
        if isPerhapsNumber { throw Failure("bad group \(name)", exitCode: 100) }
        throw Failure("unknown group \(name)")
    }

    /// The supplementary groups that it comes to; nil for those that the process has.
    func supplementaryGroups() throws(Failure) -> [UInt32]? {
        if user != nil && group == nil {
            throw Failure("a user by number needs a group: --user UID:GROUP", exitCode: 100)
        }
        switch groups {
        case .these(let list): return list
        case .kept: return nil
        case .fromDatabase:
            guard let account, let group else {
                throw Failure("--groups database needs a user by name", exitCode: 100)
            }
            do throws(SystemError) {
                return try Account.groups(of: account.name, primary: group)
            } catch { throw error.explained("unable to read the groups of \(account.name)") }
        case nil: return group.map { [$0] }
        }
    }

    /// Gives this process the groups, the group and the user, in this order, since each takes away the
    /// right to change the one before. What the process is already, it needs no privilege for.
    func assume(_ groups: [UInt32]?) throws(Failure) {
        do throws(SystemError) {
            if let groups {
                try CurrentProcess.setGroups(groups, primary: group)
            } else if let group {
                try CurrentProcess.setGroup(group)
            }
        } catch { throw error.explained("unable to setgid") }
        do throws(SystemError) {
            if let user { try CurrentProcess.setUser(user) }
        } catch { throw error.explained("unable to setuid") }
    }

    /// Sets HOME, USER, LOGNAME and SHELL in `environment`, if `--user-env` asks for it: to those of the
    /// user's account, or of `operand`, the account that the program takes besides.
    func setVariables(in environment: inout Environment, operand: Account?) throws(Failure) {
        guard setsVariables else { return }
        guard let account = try accountOfUser() ?? operand else {
            throw Failure("--user-env needs a user", exitCode: 100)
        }
        environment.set("HOME", account.home)
        environment.set("USER", account.name)
        environment.set("LOGNAME", account.name)
        environment.set("SHELL", account.shell)
    }

    /// The account of the user who was named, or given by number; nil where none was given.
    private func accountOfUser() throws(Failure) -> Account? {
        if let account { return account }
        guard let user else { return nil }
        do throws(SystemError) {
            if let account = try Account.numbered(user) { return account }
        } catch { throw error.explained("unknown account \(user)") }
        throw Failure("unknown account \(user)")
    }
}

/// What a user or a group is given as on a command line.
private enum UserOrGroup {
    /// An id.
    case number(UInt32)
    /// A name to be looked up.
    case name(ByteString)
    /// What begins like a number and goes on like a name.
    case perhapsName(ByteString)

    /// Tells them apart. What can be neither fails with exit code 100: nothing at all, a sign in front,
    /// a number that is no id. The highest one means "as it is" to the kernel, and is none.
    init(_ text: ByteString, _ kind: StaticString) throws(Failure) {
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        if let number = parseDecimal(text, within: 0...Int(UInt32.max) - 1),
            text.bytes.first != UInt8(ascii: "-")
        {
            self = .number(UInt32(number))
            return
        }
        guard let first = text.bytes.first, first != UInt8(ascii: "-"),
            first != UInt8(ascii: "+"), !text.bytes.allSatisfy({ digits.contains($0) })
        else { throw Failure("bad \(kind) \(text)", exitCode: 100) }
        self = digits.contains(first) ? .perhapsName(text) : .name(text)
    }
}
