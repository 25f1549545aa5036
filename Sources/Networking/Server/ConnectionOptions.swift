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

    /// Takes an option; false when it is none of these.
    public mutating func take(_ letter: Unicode.Scalar, _ value: ByteString) -> Bool {
        switch letter {
        case "d": noDelay = false
        case "D": noDelay = true
        case "v": verbosity = .all
        case "q": verbosity = .silent
        case "Q": verbosity = .errors
        case "h": findsRemoteHost = true
        case "H": findsRemoteHost = false
        case "r": asksIdent = true
        case "R": asksIdent = false
        case "t": identTimeout = scanDecimal(value.bytes).value
        case "l": localName = value
        default: return false
        }
        return true
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
