import Bytes
import Commands
import Linux
import Networking

private let usage: ByteString = "tcprules rules.cdb rules.tmp"

/// tcprules(1): compiles access rules.
func tcprules(_ call: Call) throws(Failure) -> Outcome {
    var operands = call.arguments.dropFirst()
    let warns = operands.first == "-w"
    if warns { operands = operands.dropFirst() }
    guard let target = operands.first, let temporary = operands.dropFirst().first else {
        throw Failure(usage: usage)
    }
    let messages = call.messages
    try compileRules(
        from: Standard.input, to: target, through: temporary,
        warn: warns ? { messages.warning("no client can match all of this line: \($0)", nil) } : nil
    )
    return .exit(0)
}
