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
    var words = OptionReader(call.arguments, short: "bBcCt:r:a:", messages: call.messages)
    // Lists are asked as they come, with the options so far.
    while let option = words.next() {
        guard case .option(let letter, let value) = option else { throw Failure(usage: usage) }
        switch letter {
        case "b": lists.bounces = true
        case "B": lists.bounces = false
        case "c": lists.failsClosed = true
        case "C": lists.failsClosed = false
        case "t": timeout = scanDecimal(value.bytes).value
        case "r": lists.consult(value, &dns)
        default: lists.consultExceptions(value, &dns)
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
