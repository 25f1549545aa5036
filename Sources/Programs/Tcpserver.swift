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
    var words = OptionReader(call.arguments, TcpserverOption.names, call.messages)
    var confinement = Confinement()
    while let result = words.next() {
        switch result {
        case .option(.common(let option), let value): options.common.take(option, value)
        case .option(.server(let option), let value):
            try options.take(option, value, call.environment)
        case .option(.confinement(let option), let value): try confinement.take(option, value)
        case .option(.childConfinement(let option), let value):
            try confinement.take(forChildren: option, value)
        case .wrong: throw Failure(usage: usage)
        }
    }
    try options.completeIdentity()
    try confinement.complete(&options)
    return try reporting(options.common.verbosity) { () throws(Failure) in
        let operands = call.arguments[words.operands...]
        guard let program = try options.common.take(operands: operands) else {
            throw Failure(usage: usage)
        }
        let invocation = Invocation(
            command: program, environment: try confinement.environment(call.environment),
            search: call.environment)
        var server = try TCPServer(options, invocation, call.messages)
        try server.run()
    }
}

private enum TcpserverOption {
    /// That tcpclient has too.
    case common(ConnectionOption)
    /// That only tcpserver has.
    case server(ServerOption)
    case confinement(ConfinementOption)
    /// After `--child-`.
    case childConfinement(ConfinementOption)

    static var names: [OptionName<TcpserverOption>] {
        ConnectionOption.names.map { $0.mapped { .common($0) } }
            + ServerOption.names.map { $0.mapped { .server($0) } }
            + ConfinementOption.names.map { $0.mapped { .confinement($0) } }
            + ConfinementOption.names.map { $0.mapped(prefix: "child-") { .childConfinement($0) } }
    }
}

/// What a server is told and a client is not.
private enum ServerOption {
    // Those of ucspi-tcp.
    case allowWithoutRules
    case backlog
    case banner
    case group
    case identityFromEnvironment
    case ipOptions
    case limit
    case notParanoid
    case paranoid
    case reportPort
    case rules
    case user
    // Those that it has not, under long names only.
    case deferAccept
    case drain
    case fastOpen
    case keepAlive
    case proxy
    case reusePort
    case socketMode
    case socketOwner

    static var names: [OptionName<ServerOption>] {
        [
            OptionName("1", .reportPort), OptionName("B", .banner, takesValue: true),
            OptionName("O", .ipOptions), OptionName("P", .notParanoid),
            OptionName("U", .identityFromEnvironment), OptionName("X", .allowWithoutRules),
            OptionName("b", .backlog, takesValue: true), OptionName("c", .limit, takesValue: true),
            OptionName("g", .group, takesValue: true), OptionName("o", .ipOptions),
            OptionName("p", .paranoid), OptionName("u", .user, takesValue: true),
            OptionName("x", .rules, takesValue: true),
            OptionName(word: "defer-accept", .deferAccept, takesValue: true),
            OptionName(word: "drain", .drain),
            OptionName(word: "fast-open", .fastOpen, takesValue: true),
            OptionName(word: "keep-alive", .keepAlive, takesValue: true),
            OptionName(word: "proxy", .proxy, takesValue: true),
            OptionName(word: "reuse-port", .reusePort),
            OptionName(word: "socket-mode", .socketMode, takesValue: true),
            OptionName(word: "socket-owner", .socketOwner, takesValue: true),
        ]
    }
}

/// The confinement of the server, and that of its programs beyond it.
private struct Confinement {
    private var (own, child) = (ConfinementOptions(), ConfinementOptions())
    private var (confinesItself, confinesChildren) = (false, false)

    /// Takes an option for the server.
    mutating func take(_ option: ConfinementOption, _ value: ByteString) throws(Failure) {
        try own.take(option, value)
        confinesItself = true
    }

    /// Takes an option for its programs.
    mutating func take(forChildren option: ConfinementOption, _ value: ByteString)
        throws(Failure)
    {
        try child.take(option, value)
        confinesChildren = true
    }

    /// What the programs get: the variables of the server's user, then those of their own.
    func environment(_ inherited: Environment) throws(Failure) -> Environment {
        var environment = inherited
        try own.setVariables(in: &environment)
        try child.setVariables(in: &environment)
        return environment
    }

    /// Has the server do it.
    mutating func complete(_ options: inout TCPServerOptions) throws(Failure) {
        if confinesItself {
            if own.credentials.user != nil, options.user != nil || options.group != nil {
                throw Failure("-u or -g, and --user", exitCode: 100)
            }
            // The change of user has its place among the steps: capabilities may have to outlive it.
            if let user = options.user, let group = options.group {
                own.credentials.become(user: user, group: group)
                (options.user, options.group) = (nil, nil)
            }
            options.umask = own.umask
            options.confine = { [own] () throws(Failure) in try own.apply(withoutExec: true) }
        }
        if confinesChildren {
            options.confineChild = { [child] () throws(Failure) in try child.apply() }
        }
    }
}

extension TCPServerOptions {
    /// Takes an option with its value.
    fileprivate mutating func take(
        _ option: ServerOption, _ value: ByteString, _ environment: Environment
    ) throws(Failure) {
        let number = scanDecimal(value.bytes).value
        switch option {
        case .allowWithoutRules: allowsWithoutRules = true
        case .backlog: backlog = Int32(truncatingIfNeeded: number)
        case .banner: banner = value
        case .group: group = try TCPServerOptions.group(value)
        case .identityFromEnvironment: try takeIdentity(from: environment)
        // Linux drops IP options by itself, and the original's call does nothing there.
        case .ipOptions: break
        case .limit: limit = number
        case .notParanoid: isParanoid = false
        case .paranoid: isParanoid = true
        case .reportPort: reportsPort = true
        case .rules: rules = value
        case .user: try take(user: value)
        case .deferAccept: deferAccept = try TCPServerOptions.seconds(value)
        case .drain: drains = true
        case .fastOpen: fastOpen = try TCPServerOptions.number(value, "--fast-open")
        case .keepAlive: keepAlive = try TCPServerOptions.seconds(value)
        case .proxy: try take(proxies: value)
        case .reusePort: sharesPort = true
        case .socketMode: socketMode = try TCPServerOptions.mode(value)
        case .socketOwner: socketOwner = try TCPServerOptions.owner(value)
        }
    }

    /// `NETWORK,…`, one of which may be `unix`.
    private mutating func take(proxies list: ByteString) throws(Failure) {
        for word in list.parts(separatedBy: UInt8(ascii: ",")) {
            if word == "unix" {
                trustsLocalProxies = true
            } else if let network = TrustedNetwork(word) {
                proxies.append(network)
            } else {
                throw Failure("bad network \(word)", exitCode: 100)
            }
        }
    }

    private static func number(_ text: ByteString, _ option: StaticString) throws(Failure) -> Int32
    {
        if let number = parseDecimal(text, within: 0...Int(Int32.max)) { return Int32(number) }
        throw Failure("bad number for \(option): \(text)", exitCode: 100)
    }

    /// What the kernel takes for TCP_KEEPIDLE.
    private static func seconds(_ text: ByteString) throws(Failure) -> Int32 {
        if let number = parseDecimal(text, within: 0...32767) { return Int32(number) }
        throw Failure("bad number of seconds \(text)", exitCode: 100)
    }

    private static func mode(_ text: ByteString) throws(Failure) -> UInt32 {
        let digits = UInt8(ascii: "0")...UInt8(ascii: "7")
        let mode = text.bytes.reduce(0) { $0 << 3 | UInt32($1 & 7) }
        guard (1...4).contains(text.count), text.bytes.allSatisfy({ digits.contains($0) }),
            mode <= 0o777
        else { throw Failure("bad mode \(text)", exitCode: 100) }
        return mode
    }

    // MARK: - Users and groups

    /// `-U`: what envuidgid(1) has put in the environment.
    private mutating func takeIdentity(from environment: Environment) throws(Failure) {
        guard let user = environment["UID"] else {
            throw Failure("-U: UID is not set", exitCode: 100)
        }
        self.user = try TCPServerOptions.user(user).user
        if let group = environment["GID"] { self.group = try TCPServerOptions.group(group) }
    }

    private mutating func take(user text: ByteString) throws(Failure) {
        user = try TCPServerOptions.user(text).user
    }

    /// Whoever becomes a user becomes the user's group too, unless another was given: root's group would
    /// be left otherwise. A number without an account has the group of the same number.
    fileprivate mutating func completeIdentity() throws(Failure) {
        guard group == nil, let user else { return }
        do throws(SystemError) { group = try Account.numbered(user)?.group ?? user } catch {
            throw error.explained("unable to look up the group of user \(user)")
        }
    }

    /// `USER` or `USER:GROUP`, names or numbers.
    private static func owner(_ text: ByteString) throws(Failure) -> (user: UInt32, group: UInt32) {
        guard let (name, group) = text.cut(at: UInt8(ascii: ":")) else {
            return try user(text)
        }
        return (try user(name).user, try self.group(group))
    }

    /// A number, or the name of an account.
    private static func user(_ text: ByteString) throws(Failure) -> (user: UInt32, group: UInt32) {
        if let id = id(text) { return (id, id) }
        do throws(SystemError) {
            if let account = try Account.named(text) { return (account.user, account.group) }
        } catch { throw error.explained("unable to look up user \(text)") }
        throw Failure("no user \(text)", exitCode: 100)
    }

    private static func group(_ text: ByteString) throws(Failure) -> UInt32 {
        if let id = id(text) { return id }
        do throws(SystemError) {
            if let group = try Group.named(text) { return group.number }
        } catch { throw error.explained("unable to look up group \(text)") }
        throw Failure("no group \(text)", exitCode: 100)
    }

    /// The highest number means "as it is" to the kernel, and is none.
    private static func id(_ text: ByteString) -> UInt32? {
        parseDecimal(text, within: 0...Int(UInt32.max) - 1).map { UInt32($0) }
    }
}
