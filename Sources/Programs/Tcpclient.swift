import Bytes
import Commands
import Linux
import Networking

private let usage: ByteString =
    """
    tcpclient [ -hHrRdDqQv ] [ -i localip ] [ -p localport ] [ -T timeoutconn ] [ -l localname ] \
    [ -t timeoutinfo ] host port program
    """

/// tcpclient(1): connects to a server and runs a program with the connection as descriptors 6 and 7.
func tcpclient(_ call: Call) throws(Failure) -> Outcome {
    closeUnowned(6)
    closeUnowned(7)
    var options = TCPClientOptions(host: "", port: "")
    var words = OptionReader(call.arguments, TcpclientOption.names, call.messages)
    while let result = words.next() {
        switch result {
        case .option(.common(let option), let value): options.common.take(option, value)
        case .option(.localAddress, let value):
            options.localAddress = TCPClientOptions.address(value)
            if options.localAddress == nil { throw Failure(usage: usage) }
        case .option(.localPort, let value):
            options.localPort = UInt16(truncatingIfNeeded: scanDecimal(value.bytes).value)
        case .option(.timeouts, let value): options.timeouts = TCPClientOptions.timeouts(value)
        case .wrong: throw Failure(usage: usage)
        }
    }
    return try reporting(options.common.verbosity) { () throws(Failure) in
        let operands = call.arguments[words.operands...]
        guard let program = try options.common.take(operands: operands) else {
            throw Failure(usage: usage)
        }
        return try connect(options, call, running: program)
    }
}

/// Runs the rest of a program, whose failure is nothing but an exit code when it is to be silent.
func reporting(_ verbosity: Verbosity, _ rest: () throws(Failure) -> Outcome) throws(Failure)
    -> Outcome
{
    do throws(Failure) { return try rest() } catch {
        if verbosity == .silent { return .exit(error.exitCode) }
        throw error
    }
}

private func connect(
    _ options: TCPClientOptions, _ call: Call, running command: ArraySlice<ByteString>
) throws(Failure) -> Outcome {
    // An ident server that is gone must not end us; the program gets the default.
    try setPipeSignal(ignored: true)
    let client = TCPClient(options, call.messages)
    guard let socket = try client.connect() else { return .exit(111) }
    var environment = call.environment
    try client.describe(socket, in: &environment)
    try place(socket)
    try setPipeSignal(ignored: false)
    var program = Invocation(
        command: command, environment: environment, search: call.environment)
    program.failsQuietly = options.common.verbosity == .silent
    return .become(program)
}

private func setPipeSignal(ignored: Bool) throws(Failure) {
    do throws(SystemError) { try setDisposition(.pipe, ignored: ignored) } catch {
        throw error.explained("unable to set up signals")
    }
}

private func place(_ socket: consuming Descriptor) throws(Failure) {
    let number = socket.number
    do throws(SystemError) { try redirect(6, to: number) } catch {
        throw error.explained("unable to set up descriptor 6")
    }
    do throws(SystemError) { try redirect(7, to: 6) } catch {
        throw error.explained("unable to set up descriptor 7")
    }
    // It may have been one of them from the start.
    if number == 6 || number == 7 { _ = socket.release() }
}

private enum TcpclientOption {
    /// That tcpserver has too.
    case common(ConnectionOption)
    case localAddress
    case localPort
    case timeouts

    static var names: [OptionName<TcpclientOption>] {
        ConnectionOption.names.map { $0.mapped { .common($0) } } + [
            OptionName("i", .localAddress, takesValue: true),
            OptionName("p", .localPort, takesValue: true),
            OptionName("T", .timeouts, takesValue: true),
        ]
    }
}
