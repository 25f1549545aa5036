import Bytes
import Formats
import Linux

/// The SMTP that a client meets whose mail is not let in: it may greet and name a sender, and is refused
/// whatever else it wants.
public struct RefusingSMTP {
    /// What the server says next.
    enum Reply: Equatable {
        case greeting
        case yes
        case no
        case goodbye

        /// The line, without its end; nil is the refusal.
        var line: StaticString? {
            switch self {
            case .greeting: "220 rblsmtpd.local"
            case .yes: "250 rblsmtpd.local"
            case .no: nil
            case .goodbye: "221 rblsmtpd.local"
            }
        }
    }

    private static let verbs: [(verb: StaticString, reply: Reply)] = [
        ("quit", .goodbye), ("helo", .yes), ("ehlo", .yes), ("mail", .yes), ("rset", .yes),
        ("noop", .yes),
    ]

    // All verbs have four letters: of a line, the five first bytes and its length say which it is.
    private var start: [UInt8] = []
    private var length = 0

    init() { start.reserveCapacity(5) }

    /// Takes a byte; returns the reply if that ends a line.
    mutating func take(_ byte: UInt8) -> Reply? {
        if byte != UInt8(ascii: "\n") {
            if length < 5 { start.append(byte) }
            length += 1
            return nil
        }
        defer {
            start.removeAll(keepingCapacity: true)
            length = 0
        }
        let endsVerb =
            length == 4 || length == 5 && start[4] == UInt8(ascii: "\r")
            || length > 4 && start[4] == UInt8(ascii: " ")
        return endsVerb ? RefusingSMTP.reply(to: start.prefix(4)) : .no
    }

    private static func reply(to verb: ArraySlice<UInt8>) -> Reply {
        for entry in verbs {
            if zip(entry.verb.bytes, verb).allSatisfy({ $0 == $1 | 0x20 }) { return entry.reply }
        }
        return .no
    }

    // MARK: - On standard input and output

    /// Talks to the client until it quits or hangs up, at most for `seconds`; 0 is the refusal at once.
    public static func talk(refusal: [UInt8], seconds: UInt) throws(SystemError) {
        let refusal = refusal + Array("\r\n")
        if seconds == 0 { return try writeAll(Standard.output, refusal) }
        let deadline = Instant.now.advanced(milliseconds: UInt64(min(seconds, 1 << 30)) * 1000)
        guard try say(.greeting, refusal, until: deadline) else { return }
        var conversation = RefusingSMTP()
        let block = ByteBlock(count: 4096)
        while try wait(for: Standard.input, until: deadline) {
            let count = try read(Standard.input, into: block.bytes)
            if count == 0 { return }
            for byte in block[0..<count] {
                guard let reply = conversation.take(byte) else { continue }
                guard try say(reply, refusal, until: deadline), reply != .goodbye else { return }
            }
        }
    }

    /// False when the time ran out.
    private static func say(_ reply: Reply, _ refusal: [UInt8], until deadline: Instant)
        throws(SystemError) -> Bool
    {
        var line = refusal
        if let text = reply.line {
            line = []
            line.append(text)
            line.append("\r\n")
        }
        // So little fits whenever there is room at all.
        guard try wait(for: Standard.output, writable: true, until: deadline) else { return false }
        try writeAll(Standard.output, line)
        return true
    }
}
