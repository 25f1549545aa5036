import Bytes
import Commands
import Linux

/// A user and groups as chpst takes them: `USER`, `USER:GROUP:GROUP…` by name, or `:UID:GID:GID…` by number.
/// A user alone has the group of the account. The first group is the primary one.
public struct UserAndGroups: Equatable, Sendable {
    /// The user id.
    public let user: UInt32
    /// The group ids; never empty.
    public let groups: [UInt32]

    /// Reads `text`, and looks up the names in it.
    public init(_ text: ByteString) throws(Failure) {
        if text.bytes.first == UInt8(ascii: ":") {
            try self.init(numbers: ByteString(text.bytes.dropFirst()))
        } else {
            try self.init(names: text)
        }
    }

    private init(numbers text: ByteString) throws(Failure) {
        var ids: [UInt32] = []
        for part in text.parts(separatedBy: UInt8(ascii: ":")) {
            // The highest number means "as it is" to the kernel, and nothing at all must not mean root.
            guard let id = parseDecimal(part, within: 0...Int(UInt32.max) - 1),
                part.bytes.first != UInt8(ascii: "-")
            else { throw Failure("invalid uid/gids: \(text)") }
            ids.append(UInt32(id))
        }
        guard ids.count > 1 else { throw Failure("invalid uid/gids: \(text)") }
        user = ids[0]
        groups = Array(ids[1...])
    }

    private init(names text: ByteString) throws(Failure) {
        let names = text.parts(separatedBy: UInt8(ascii: ":"))
        var found: [UInt32] = []
        do throws(SystemError) {
            guard let account = try Account.named(names[0]) else {
                throw SystemError("getpwnam", .noEntry)
            }
            for name in names.dropFirst() {
                guard let group = try Group.named(name) else {
                    throw SystemError("getgrnam", .noEntry)
                }
                found.append(group.number)
            }
            user = account.user
            groups = found.isEmpty ? [account.group] : found
        } catch {
            if error.errno == .noEntry { throw Failure("unknown user/group: \(text)") }
            throw error.explained("unable to get password/group file entry")
        }
    }
}
