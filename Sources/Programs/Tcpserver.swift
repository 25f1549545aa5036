import Bytes
import Commands
import Confinement
import Linux
import Networking

private let usage: ByteString =
    """
    tcpserver [ -1UXpPhHrRoOdDqQv ] [ -c limit ] [ -x rules.cdb ] [ -B banner ] [ -g gid ] \
    [ -u uid ] [ -b backlog ] [ -l localname ] [ -t timeout ] host port program
    """

/// tcpserver(1): accepts connections and starts a program for each.
func tcpserver(_ call: Call) throws(Failure) -> Outcome {
    var options = TCPServerOptions(host: "", port: "")
    var words = OptionReader(
        call.arguments, short: "dDvqQhHrRt:l:1UXx:u:g:b:B:c:pPoO",
        long: newOptions + Options.words + Options.words(prefix: "child-"),
        messages: call.messages)
    var confinement = Confinement()
    while let option = words.next() {
        guard case .option(let letter, let value) = option else { throw Failure(usage: usage) }
        if options.common.take(letter, value) { continue }
        if try confinement.take(letter, value) { continue }
        guard options.take(letter, value, call.environment) else { throw Failure(usage: usage) }
    }
    try confinement.complete(&options)
    return try reporting(options.common.verbosity) { () throws(Failure) in
        let operands = call.arguments[words.operands...]
        guard let program = try options.common.take(operands: operands) else {
            throw Failure(usage: usage)
        }
        let invocation = Invocation(command: program, environment: call.environment)
        var server = try TCPServer(options, invocation, call.messages)
        try server.run()
    }
}

/// What ucspi-tcp has not, under long names only.
private var newOptions: [LongOption] {
    [
        LongOption("reuse-port", letter: "ρ"),
        LongOption("fast-open", takesArgument: true, letter: "φ"),
        LongOption("defer-accept", takesArgument: true, letter: "δ"),
        LongOption("proxy", takesArgument: true, letter: "π"),
        LongOption("drain", letter: "ε"),
    ]
}

/// The confinement of the server, and that of its programs beyond it.
private struct Confinement {
    private var (own, child) = (Options(), Options())
    private var (confinesItself, confinesChildren) = (false, false)

    /// Takes an option; false when it is none of confinement.
    mutating func take(_ letter: Unicode.Scalar, _ value: ByteString) throws(Failure) -> Bool {
        if try own.take(letter, value) {
            confinesItself = true
        } else if try child.take(letter, value, prefixed: true) {
            confinesChildren = true
        } else {
            return false
        }
        return true
    }

    /// Has the server do it.
    mutating func complete(_ options: inout TCPServerOptions) throws(Failure) {
        if confinesItself {
            if own.identity.user != nil, options.user != 0 || options.group != 0 {
                throw Failure("-u or -g, and --user", exitCode: 100)
            }
            // The change of user has its place among the steps: capabilities may have to outlive it.
            if options.user != 0 {
                let group = options.group == 0 ? CurrentProcess.group : options.group
                own.identity.become(Account(user: options.user, group: group))
                (options.user, options.group) = (0, 0)
            }
            options.confine = { [own] () throws(Failure) in try own.apply(goesOn: true) }
        }
        if confinesChildren {
            options.confineChild = { [child] () throws(Failure) in try child.apply() }
        }
    }
}

extension TCPServerOptions {
    /// Takes an option; false when its value makes no sense.
    fileprivate mutating func take(
        _ letter: Unicode.Scalar, _ value: ByteString, _ call: Environment
    ) -> Bool {
        let number = scanDecimal(value.bytes).value
        switch letter {
        case "b": backlog = Int32(truncatingIfNeeded: number)
        case "c": limit = number
        case "X": allowsWithoutRules = true
        case "x": rules = value
        case "B": banner = value
        case "P": isParanoid = false
        case "p": isParanoid = true
        case "U":
            if let user = call["UID"] { self.user = id(user) }
            if let group = call["GID"] { self.group = id(group) }
        case "u": user = id(value)
        case "g": group = id(value)
        case "1": reportsPort = true
        case "ρ": sharesPort = true
        case "φ": fastOpen = Int32(clamping: number)
        case "δ": deferAccept = Int32(clamping: number)
        case "π":
            for network in value.bytes.split(separator: UInt8(ascii: ",")) {
                guard let network = TrustedNetwork(ByteString(network)) else { return false }
                proxies.append(network)
            }
        case "ε": drains = true
        // -o and -O: Linux drops IP options by itself, and the original's call does nothing there.
        default: break
        }
        return true
    }

    private func id(_ text: ByteString) -> UInt32 {
        UInt32(truncatingIfNeeded: scanDecimal(text.bytes).value)
    }
}
