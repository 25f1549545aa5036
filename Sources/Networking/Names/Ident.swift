import Bytes
import Formats
import Linux

/// Asks the remote host's ident server who the connection belongs to, RFC 1413, as remoteinfo.c of
/// ucspi-tcp does. Nil when there is no answer within `seconds`.
func identity(
    of remote: SocketAddress, seenFrom local: SocketAddress, seconds: UInt
) -> ByteString? {
    let deadline = Instant.now.advanced(milliseconds: UInt64(min(seconds, 1 << 30)) * 1000)
    do throws(SystemError) {
        let socket = try makeSocket(isIPv6: local.isIPv6)
        var from = local
        var to = remote
        from.port = 0
        to.port = 113
        try bind(socket, to: from)
        try connect(socket, to: to, until: deadline)
        let question: ByteString = "\(remote.port) , \(local.port)\r\n"
        try writeAll(socket.number, Array(question.bytes))
        return try answer(socket, until: deadline)
    } catch {
        return nil
    }
}

private func answer(_ socket: borrowing Descriptor, until deadline: Instant)
    throws(SystemError) -> ByteString?
{
    var answer = IdentAnswer()
    while try wait(for: socket.number, until: deadline) {
        let isOver = try withUnsafeTemporaryAllocation(byteCount: 512, alignment: 1) {
            (buffer) throws(SystemError) -> Bool in
            let count = try socket.read(into: buffer)
            return count == 0 || buffer[..<count].contains { answer.take($0) }
        }
        if isOver { return answer.text }
    }
    return nil
}

/// The line that an ident server sends, taken byte by byte: what follows the third colon counts,
/// blanks and CR left out, at most 257 bytes.
struct IdentAnswer {
    private var colons = 0
    private var info: [UInt8] = []
    private var isComplete = false

    /// What was said, which may be nothing; nil when the line is not complete.
    var text: ByteString? { isComplete ? ByteString(info) : nil }

    /// Takes a byte; returns whether the line is complete.
    mutating func take(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): break
        case UInt8(ascii: "\n"): isComplete = true
        case UInt8(ascii: ":") where colons < 3: colons += 1
        case _ where colons == 3:
            info.append(byte)
            isComplete = info.count == 257
        default: break
        }
        return isComplete
    }
}
