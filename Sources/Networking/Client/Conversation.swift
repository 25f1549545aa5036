import Bytes
import Commands
import Linux

/// Connects as `tcpclient -RHl0 -- HOST PORT` does, for the small clients that are known to run it: what
/// goes wrong is reported under that name, and then nil is returned.
public func openConnection(to host: ByteString, port: ByteString) -> Descriptor? {
    let messages = Messages(program: "tcpclient")
    do throws(Failure) {
        return try TCPClient(TCPClientOptions(host: host, port: port), messages).connect()
    } catch {
        messages.report(error)
        return nil
    }
}

/// Connects, sends the lines of `request` with CR LF, and copies the answer to standard output through
/// `filter`. A server that cannot be reached, or goes away, is no failure but an answer that is short:
/// that is how the originals, which are pipelines, see it. Throws, with `exitCode`, if standard output
/// cannot be written.
public func showAnswer(
    from host: ByteString, port: ByteString, to request: ByteString = "",
    through filter: some ByteFilter, exitCode: Int32
) throws(Failure) {
    guard let socket = openConnection(to: host, port: port) else { return }
    send(request, socket)
    do throws(CopyError) {
        try copy(
            from: socket.number, to: Standard.output,
            through: FilterChain(CarriageReturnRemover(), filter))
    } catch {
        guard case .write(let error) = error else { return }
        throw error.explained("unable to write output", exitCode: exitCode)
    }
}

/// A server that takes no request may still have sent something.
private func send(_ request: ByteString, _ socket: borrowing Descriptor) {
    if request.isEmpty { return }
    var text: [UInt8] = []
    for byte in request.bytes {
        if byte == UInt8(ascii: "\n") { text.append(UInt8(ascii: "\r")) }
        text.append(byte)
    }
    do throws(SystemError) {
        let wasIgnored = try setDisposition(.pipe, ignored: true)
        do throws(SystemError) { try writeAll(socket.number, text) } catch {}
        try setDisposition(.pipe, ignored: wasIgnored)
    } catch {}
}

/// Passes standard input on to a server, a CR before every line feed, and what the server sends to
/// standard output, until the server has ended.
public func converse(reading reader: Int32, writing writer: Int32) throws(SystemError) {
    // Who has stopped reading may still have something to say.
    try setDisposition(.pipe, ignored: true)
    var relay = Relay(
        from: Standard.input, through: CarriageReturnInserter(), to: writer,
        from: reader, through: Unchanged(), to: Standard.output)
    try relay.run()
}
