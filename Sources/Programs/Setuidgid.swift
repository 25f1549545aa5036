import Bytes
import Commands
import Confinement
import Linux

/// setuidgid(8): becomes an account, then the child.
func setuidgid(_ call: Call) throws(Failure) -> Outcome {
    var (options, words) = try longOptions(call, usage: "setuidgid account child")
    if options.credentials.user != nil { throw Failure("an account and --user", exitCode: 100) }
    try options.credentials.become(accountNamed: words.removeFirst())
    return try options.become(Invocation(command: words, environment: call.environment), call)
}

/// Reads the confinement options of a program that has no others and takes an account and a child.
/// Where there are none, the first word is the account, even `-x` or `--`.
func longOptions(_ call: Call, usage: ByteString) throws(Failure) -> (
    ConfinementOptions, [ByteString]
) {
    var options = ConfinementOptions()
    var words = call.arguments.dropFirst()
    if let first = words.first, first.hasPrefix("--"), first.count > 2 {
        var reader = OptionReader(call.arguments, ConfinementOption.names, call.messages)
        while let result = reader.next() {
            guard case .option(let option, let value) = result else { throw Failure(usage: usage) }
            try options.take(option, value)
        }
        words = call.arguments[reader.operands...]
    }
    if words.count < 2 { throw Failure(usage: usage) }
    return (options, Array(words))
}
