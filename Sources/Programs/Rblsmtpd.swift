import Bytes
import Commands
import Linux
import Networking

private let usage: ByteString =
    "rblsmtpd [ -b ] [ -R ] [ -t timeout ] [ -r base ] [ -a base ] smtpd [ arg ... ]"

/// rblsmtpd(1): runs a mail server, or refuses mail from clients that lists in the DNS warn of.
func rblsmtpd(_ call: Call) throws(Failure) -> Outcome {
    let client = call.environment["TCPREMOTEIP"] ?? ByteString()
    var lists = Blocklists(client: client, preset: call.environment["RBLSMTPD"])
    var dns = DNSClient(call.environment)
    var timeout: UInt = 60
    var words = OptionReader(call.arguments, RblsmtpdOption.names, call.messages)
    // Lists are asked as they come, with the options so far.
    while let result = words.next() {
        guard case .option(let option, let value) = result else { throw Failure(usage: usage) }
        switch option {
        case .bounce: lists.bounces = true
        case .defer: lists.bounces = false
        case .failClosed: lists.failsClosed = true
        case .failOpen: lists.failsClosed = false
        case .timeout: timeout = scanDecimal(value.bytes).value
        case .list: lists.consult(value, &dns)
        case .exceptions: lists.consultExceptions(value, &dns)
        }
    }
    let server = call.arguments[words.operands...]
    if server.isEmpty { throw Failure(usage: usage) }
    guard let refusal = lists.refusal else {
        return .become(Invocation(command: server, environment: call.environment))
    }
    call.messages.line("\(client) pid \(CurrentProcess.id): \(ByteString(refusal))")
    // A client that breaks off has ended the conversation as well as one that quits.
    do throws(SystemError) { try RefusingSMTP.talk(refusal: refusal, seconds: timeout) } catch {}
    return .exit(0)
}

private enum RblsmtpdOption {
    /// Mail is refused for good.
    case bounce
    /// Mail is refused for now.
    case `defer`
    /// A failed look-up counts as a listing.
    case failClosed
    /// It does not.
    case failOpen
    case timeout
    /// A list of clients to refuse mail from.
    case list
    /// A list of clients to take mail from.
    case exceptions

    static var names: [OptionName<RblsmtpdOption>] {
        [
            OptionName("b", .bounce), OptionName("B", .defer), OptionName("c", .failClosed),
            OptionName("C", .failOpen), OptionName("t", .timeout, takesValue: true),
            OptionName("r", .list, takesValue: true),
            OptionName("a", .exceptions, takesValue: true),
        ]
    }
}
