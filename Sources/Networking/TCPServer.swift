import Bytes
import Commands
import Formats
import Linux

/// The accept loop of tcpserver(1): takes connections while fewer than the limit are served, decides
/// on each and starts the program for it. Nothing slow happens here: a connection that needs a
/// look-up, whose client must be told something at leisure, or whose program is confined more than the
/// server, is left to a copy of the process.
public struct TCPServer: ~Copyable {
    let options: TCPServerOptions
    let access: Access
    let program: PreparedProgram
    let setup: ChildSetup
    private let starter: ProgramStarter
    var children = Children()
    /// The connections from proxies that have not said who their client is, in the order they came.
    var pending: [Pending] = []
    private let rates = RateTable()
    var log: ConnectionLog
    /// The changes to the environment of the next child.
    var edits: [UInt8] = []
    private let messages: Messages
    let listener: Listener
    var signals: ServerSignals
    /// What accept failed with last, and what it has failed with twice; that is said once.
    private var suspected: Errno?
    private var trouble: Errno?

    /// Binds, becomes the user wanted, is confined, prints the port if wanted and closes standard input
    /// and output. From then on SIGTERM ends the process with 0.
    public init(_ options: TCPServerOptions, _ invocation: Invocation, _ messages: Messages)
        throws(Failure)
    {
        try ServerSignals.prepare()
        let listener = try Listener(options, invocation.environment)
        let signals = try ServerSignals.take(drains: options.drains)
        try changeIdentity(options)
        try options.confine?()
        if options.reportsPort { try report(listener.port) }
        closeInherited(Standard.input)
        closeInherited(Standard.output)
        self.options = options
        self.messages = messages
        setup = signals.childSetup
        self.signals = signals
        self.listener = listener
        access = Access(options, invocation.environment)
        var invocation = invocation
        for variable in Listener.passingVariables { invocation.environment.unset(variable) }
        let program = PreparedProgram(invocation)
        self.program = program
        starter = ProgramStarter(program)
        log = ConnectionLog(messages, isOn: options.common.verbosity == .all)
        edits.reserveCapacity(1024)
    }

    /// Serves until SIGTERM, or until the listening socket is of no use any more.
    public mutating func run() throws(Failure) -> Never {
        log.status(0, of: options.limit)
        log.write()
        do throws(SystemError) {
            while true {
                reapChildren()
                if options.drains { signals.look() }
                if signals.isStopping { break }
                let isFull = UInt(connections) >= options.limit
                if !pending.isEmpty {
                    if attendPending(listening: !isFull) { try takeConnection() }
                } else if isFull {
                    signals.wait(until: nil)
                } else {
                    try takeConnection()
                }
            }
        } catch {
            throw error.explained("unable to accept")
        }
        drain()
    }

    /// Lets the programs end, and ends.
    private mutating func drain() -> Never {
        listener.close()
        reapChildren()
        while connections > 0 {
            if pending.isEmpty {
                signals.wait(until: nil)
            } else {
                _ = attendPending(listening: false)
            }
            reapChildren()
        }
        exitNow(0)
    }

    private mutating func takeConnection() throws(SystemError) {
        do throws(SystemError) {
            if let accepted = try accept(listener.socket) {
                suspected = nil
                trouble = nil
                serve(accepted)
            } else {
                suspected = nil
                if pending.isEmpty { signals.wait(orFor: listener.socket) }
            }
        } catch {
            try overcome(error)
        }
    }

    /// Says what accept failed with, once for as long as it lasts, and waits if the same would happen
    /// again at once.
    private mutating func overcome(_ error: SystemError) throws(SystemError) {
        switch error.errno {
        case .interrupted: return
        case .connectionAborted, .protocolError:
            // That connection failed; the next one need not.
            return warn("dropping connection, unable to accept", error.errno)
        default: break
        }
        // A child that fails to become the program leaves its error in our errno. It takes two in a row
        // to be believed.
        let isConfirmed = suspected == error.errno
        suspected = error.errno
        if !isConfirmed { return }
        switch error.errno {
        case .badDescriptor, .invalid, .notSocket: throw error
        default: break
        }
        if trouble != error.errno { warn("unable to accept", error.errno) }
        trouble = error.errno
        signals.wait(until: Instant.now.advanced(milliseconds: 100))
    }

    private mutating func reapChildren() {
        while true {
            switch reapOne() {
            case .ended(let pid, let status): noteEnd(of: pid, status)
            case .resumed: continue
            case .nothingYet, .noChildren: return log.write()
            }
        }
    }

    private mutating func noteEnd(of pid: ProcessID, _ status: ExitStatus) {
        guard children.remove(pid) else { return }
        if status.exitCode == 111, let errno = starter.failure(of: pid) {
            warn("dropping connection, unable to run \(program.program)", errno)
        }
        log.ended(pid, status)
        log.status(connections, of: options.limit)
    }

    /// Without children there is nothing to reap, and no other error is possible.
    private func reapOne() -> WaitResult { do { return try reap() } catch { return .noChildren } }

    func warn(_ text: ByteString, _ errno: Errno?) {
        if options.common.verbosity > .silent { messages.warning(text, errno) }
    }

    // MARK: - One connection

    /// How many connections there are.
    var connections: Int { children.count + pending.count }

    private mutating func serve(_ accepted: consuming AcceptedConnection) {
        let socket = accepted.socket.number
        guard let connection = describe(accepted.peer, socket) else { return }
        // Written here and not by the child, which may be overtaken by the next one.
        log.status(connections + 1, of: options.limit)
        log.write()
        let greeted = greet(socket)
        if options.trustsProxy(connection) {
            let deadline = Instant.now.advanced(milliseconds: 10_000)
            pending.append(
                Pending(
                    connection: connection, socket: accepted.socket.release(), greeted: greeted,
                    deadline: deadline))
            goOn(pending.count - 1)
        } else {
            serve(connection, socket, greeted: greeted)
        }
    }

    /// Serves a connection of which `greeted` bytes of the banner have been sent.
    mutating func serve(_ connection: Connection, _ socket: Int32, greeted: Int) {
        var connection = connection
        var verdict: Access.Verdict?
        if greeted == options.banner.count { verdict = decideAtOnce(&connection, socket) }
        do throws(SystemError) {
            if let verdict {
                if !verdict.message.isEmpty { _ = sendAtOnce("\(verdict.message)\r\n", socket) }
                // Nobody would see that there was a child.
                if verdict.reason != nil && options.common.verbosity < .all { return }
                try startAtOnce(verdict, connection, socket)
            } else {
                try startCopy(connection, socket, greeted: greeted)
            }
        } catch {
            log.clear()
            warn("dropping connection, unable to fork", error.errno)
            log.status(connections, of: options.limit)
            log.write()
        }
    }

    /// What is known of a connection at once; nil when nothing can be found out.
    private func describe(_ peer: SocketAddress?, _ socket: Int32) -> Connection? {
        if let peer {
            var connection = Connection(
                localPort: listener.port, remote: peer.ip, remotePort: peer.port)
            connection.localHost = options.common.localName
            return connection
        }
        do throws(SystemError) {
            let credentials = try peerCredentials(of: socket)
            var connection = Connection(
                localPort: 0, remote: IPAddress(ipv4: credentials.user), remotePort: 0)
            connection.localHost = options.common.localName
            connection.unix = UnixEnd(path: listener.path ?? ByteString(), credentials: credentials)
            return connection
        } catch {
            warn("dropping connection, unable to get remote address", error.errno)
            return nil
        }
    }

    /// Sets the socket up and sends what fits of the banner; returns how much of it was sent.
    private func greet(_ socket: Int32) -> Int {
        // The connection works without.
        if options.common.noDelay { do { try set(.noDelay, true, of: socket) } catch {} }
        return options.banner.isEmpty ? 0 : sendAtOnce(options.banner, socket)
    }

    /// Sends what can be sent without waiting; returns how much that was.
    private func sendAtOnce(_ text: ByteString, _ socket: Int32) -> Int {
        text.withCString {
            let bytes = UnsafeRawBufferPointer(start: $0, count: text.count)
            do throws(SystemError) { return try sendNow(socket, bytes) } catch { return 0 }
        }
    }

    /// The verdict and the child's environment, if they can be had without waiting. A client that comes
    /// too often is found out before anything is looked up for it.
    private mutating func decideAtOnce(_ connection: inout Connection, _ socket: Int32)
        -> Access.Verdict?
    {
        let needsLookUp =
            connection.unix == nil
            && (options.common.findsRemoteHost || options.common.asksIdent
                || options.common.localName == nil)
        if needsLookUp && !access.mayHaveRate { return nil }
        do throws(SystemError) {
            try findLocalAddress(&connection, socket)
            edits.removeAll(keepingCapacity: true)
            connection.describe(in: &edits)
            let verdict = try access.decide(connection, children, rates, edits: &edits)
            if verdict.reason?.isRate == true { return verdict }
            if verdict.takesTime || needsLookUp { return nil }
            // What a child borrows of our memory it cannot be confined in.
            return verdict.reason == nil && options.confineChild != nil ? nil : verdict
        } catch {
            // The copy meets the same error, and says so under its process id.
            return nil
        }
    }

    func findLocalAddress(_ connection: inout Connection, _ socket: Int32)
        throws(SystemError)
    {
        if connection.proxy != nil || connection.unix != nil { return }
        if let address = listener.address {
            connection.local = address
        } else if let address = try localAddress(of: socket) {
            connection.local = address.ip
        }
    }

    /// Starts the program, or a child that ends as one that was denied, with vfork. The child itself
    /// writes the lines that have its id, so that they come before all that the program prints.
    private mutating func startAtOnce(
        _ verdict: Access.Verdict, _ connection: Connection, _ socket: Int32
    ) throws(SystemError) {
        log.accepted(nil, connection)
        log.decided(nil, connection, verdict.reason)
        var setup = setup
        setup.descriptors = [socket, socket]
        let result =
            verdict.reason == nil
            ? try starter.start(edits: edits, setup: setup, announcement: log.lines)
            : try startEnding(exitCode: 100, announcement: log.lines)
        log.clear()
        switch result {
        case .running(let pid): children.add(pid, for: connection.remote)
        case .failed(let pid, let errno):
            warn("dropping connection, unable to run \(program.program)", errno)
            log.ended(pid, ExitStatus(raw: 111 << 8))
            log.status(connections, of: options.limit)
            log.write()
        }
    }

    private mutating func startCopy(_ connection: Connection, _ socket: Int32, greeted: Int)
        throws(SystemError)
    {
        switch try forkProcess() {
        case .parent(let pid): children.add(pid, for: connection.remote)
        case .child:
            listener.close()
            for one in pending { closeInherited(one.socket) }
            serveAsCopy(connection, socket, greeted: greeted)
        }
    }
}

private func changeIdentity(_ options: TCPServerOptions) throws(Failure) {
    do {
        if options.group != 0 {
            try CurrentProcess.setGroups([options.group])
            try CurrentProcess.setGroup(options.group)
        }
    } catch { throw error.explained("unable to set gid") }
    do { if options.user != 0 { try CurrentProcess.setUser(options.user) } } catch {
        throw error.explained("unable to set uid")
    }
}

private func report(_ port: UInt16) throws(Failure) {
    do { try writeAll(Standard.output, Array(ByteString("\(port)\n").bytes)) } catch {
        throw error.explained("unable to print the port")
    }
}
