import Formats
import Linux

/// tcprulescheck(1): what a tcpserver with these rules would do, in words.
public func explainAccess(_ path: ByteString, _ query: AccessQuery) throws(Failure) -> [UInt8] {
    var isDenied = false
    var items: [UInt8] = []
    var text: [UInt8] = []
    do throws(CDBError<SystemError>) {
        var rules = try AccessRules(try opened(path))
        let found = try rules.apply(query) { item in
            switch item {
            case .deny: isDenied = true
            case .variable(let variable):
                items += "set environment variable ".utf8
                items += variable
                items.append(UInt8(ascii: "\n"))
            }
            return !isDenied
        }
        text += found ? "rule ".utf8 : "default".utf8
        if found { text += rules.key }
        text += ":\n".utf8
    } catch {
        switch error {
        case .unreadable(let cause): throw cause.explained("unable to read \(path)")
        case .corrupt: throw Failure("unable to read \(path)", .protocolError)
        }
    }
    return text + items + (isDenied ? "deny connection\n".utf8 : "allow connection\n".utf8)
}

private func opened(_ path: ByteString) throws(CDBError<SystemError>) -> RulesFile {
    do { return try RulesFile(path) } catch { throw .unreadable(error) }
}
