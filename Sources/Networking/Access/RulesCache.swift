import Bytes
import Formats
import Linux

/// The rules at a path, opened and verified once for as long as the file stays the same: tcprules gives a
/// new file the name, and what was read of the old one is forgotten then.
final class RulesCache {
    /// Where the rules are.
    let path: ByteString
    private var verified: VerifiedRules?

    init(_ path: ByteString) { self.path = path }

    /// Whether the rules that were used last have keys with the name of a host or of a user, so that the
    /// address alone does not decide.
    var dependOnNames: Bool { verified?.dependOnNames ?? true }

    /// Calls `body` with the connection's rule, item by item. Throws when the file cannot be read or is
    /// not whole, and nobody must be let in.
    func apply(_ query: AccessQuery, _ body: (AccessRuleItem) -> Bool) throws(SystemError) {
        do throws(CDBError<SystemError>) {
            _ = try current().rules.apply(query, body)
        } catch {
            switch error {
            case .unreadable(let cause): throw cause
            case .corrupt: throw SystemError("read", .protocolError, subject: path)
            }
        }
    }

    /// The rules as they are now.
    private func current() throws(CDBError<SystemError>) -> VerifiedRules {
        do throws(SystemError) {
            if let verified, verified.isSettled, try status(of: path) == verified.status {
                return verified
            }
        } catch { throw .unreadable(error) }
        verified = nil
        let fresh = try VerifiedRules(path)
        verified = fresh
        return fresh
    }
}

/// Rules that were found to be whole.
private final class VerifiedRules {
    var rules: AccessRules<RulesFile>
    let status: FileStatus
    let dependOnNames: Bool
    /// Whether a change of the file since then would show in its status.
    let isSettled: Bool

    init(_ path: ByteString) throws(CDBError<SystemError>) {
        let file: RulesFile
        do throws(SystemError) { file = try RulesFile(path) } catch { throw .unreadable(error) }
        status = file.status
        isSettled = file.status.isSettled(at: wallClock())
        var rules = try AccessRules(file)
        dependOnNames = try rules.verify()
        self.rules = rules
    }
}
