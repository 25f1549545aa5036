import Bytes
import Commands
import Formats
import Linux

/// tcprulescheck(1): what a tcpserver with these rules would do, in words.
public func explainAccess(_ path: ByteString, _ query: AccessQuery) throws(Failure) -> [UInt8] {
    var isDenied = false
    var items: [UInt8] = []
    var text: [UInt8] = []
    do throws(CDBError<SystemError>) {
        var rules = try AccessRules(try opened(path))
        _ = try rules.verify()
        let found = try rules.apply(query) { item in
            switch item {
            case .deny: isDenied = true
            case .variable(let variable):
                items.append("set environment variable ")
                items += variable
                items.append(UInt8(ascii: "\n"))
            }
            return !isDenied
        }
        text.append(found ? "rule " : "default")
        if found { text += rules.key }
        text.append(":\n")
    } catch {
        switch error {
        case .unreadable(let cause): throw cause.explained("unable to read \(path)")
        case .corrupt: throw Failure("unable to read \(path)", .protocolError)
        }
    }
    items.append(isDenied ? "deny connection\n" : "allow connection\n")
    return text + items
}

private func opened(_ path: ByteString) throws(CDBError<SystemError>) -> RulesFile {
    do { return try RulesFile(path) } catch { throw .unreadable(error) }
}
