import Bytes
import Commands
import Linux

/// How much a program says on standard error.
public enum Verbosity: UInt8, Comparable, Sendable {
    /// Nothing at all.
    case silent
    /// What went wrong.
    case errors
    /// Everything.
    case all

    /// Quieter first.
    public static func < (left: Verbosity, right: Verbosity) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// The options that tcpserver(1) and tcpclient(1) both have.
public enum ConnectionOption: Sendable {
    /// `-d`: small pieces may wait for more.
    case delay
    /// `-D`: they are sent at once.
    case noDelay
    /// `-v`, `-q`, `-Q`.
    case say(Verbosity)
    /// `-h`: the remote host's name is looked up.
    case remoteHost
    /// `-H`: it is not.
    case noRemoteHost
    /// `-r`: the remote host's ident server is asked.
    case ident
    /// `-R`: it is not.
    case noIdent
    /// `-t SECONDS`.
    case identTimeout
    /// `-l NAME`.
    case localName

    /// How they are written, for `OptionReader`.
    public static var names: [OptionName<ConnectionOption>] {
        [
            OptionName("d", .delay), OptionName("D", .noDelay), OptionName("v", .say(.all)),
            OptionName("q", .say(.silent)), OptionName("Q", .say(.errors)),
            OptionName("h", .remoteHost), OptionName("H", .noRemoteHost), OptionName("r", .ident),
            OptionName("R", .noIdent), OptionName("t", .identTimeout, takesValue: true),
            OptionName("l", .localName, takesValue: true),
        ]
    }
}

/// What tcpserver(1) and tcpclient(1) are both told; the initial values are their defaults.
public struct ConnectionOptions: Sendable {
    /// The host to listen on or to connect to, as the user wrote it.
    public var host: ByteString
    /// Its port, a number or a service.
    public var port: ByteString
    /// `-q`, `-Q`, `-v`: how much is said.
    public var verbosity = Verbosity.errors
    /// `-D`, `-d`: whether small pieces are sent at once, TCP_NODELAY.
    public var noDelay = false
    /// `-l`: the local host's name; nil for looking it up.
    public var localName: ByteString?
    /// `-h`, `-H`: whether the remote host's name is looked up.
    public var findsRemoteHost = true
    /// `-r`, `-R`: whether the remote host's ident server is asked.
    public var asksIdent = true
    /// `-t`: seconds to wait for that server.
    public var identTimeout: UInt = 26

    /// The defaults.
    public init(host: ByteString, port: ByteString) {
        self.host = host
        self.port = port
    }

    /// Takes an option with its value.
    public mutating func take(_ option: ConnectionOption, _ value: ByteString) {
        switch option {
        case .delay: noDelay = false
        case .noDelay: noDelay = true
        case .say(let verbosity): self.verbosity = verbosity
        case .remoteHost: findsRemoteHost = true
        case .noRemoteHost: findsRemoteHost = false
        case .ident: asksIdent = true
        case .noIdent: asksIdent = false
        case .identTimeout: identTimeout = scanDecimal(value.bytes).value
        case .localName: localName = value
        }
    }

    /// Takes `HOST PORT PROGRAM`; returns the program with its arguments, nil when there is none. A port
    /// that is unknown is worse than no program.
    public mutating func take(operands: ArraySlice<ByteString>) throws(Failure)
        -> ArraySlice<ByteString>?
    {
        let program = operands.dropFirst(2)
        if program.isEmpty {
            if operands.count == 2 { _ = try resolvePort(operands[operands.startIndex + 1]) }
            return nil
        }
        host = operands[operands.startIndex]
        port = operands[operands.startIndex + 1]
        return program
    }
}
