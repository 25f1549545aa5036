import Bytes
import Commands
import Formats
import Linux

/// The accept loop of tcpserver(1): takes connections while fewer than the limit are served, decides
/// on each and starts the program for it. Nothing slow happens here: a connection that needs a
/// look-up, whose client reads a long banner at leisure, or whose program is confined more than the
/// server, is left to a copy of the process.
public struct TCPServer: ~Copyable {
    let options: TCPServerOptions
    let access: Access
    let program: PreparedProgram
    let setup: ChildSetup
    let starter: ProgramStarter
    var children = Children()
    /// The connections from proxies that have not said who their client is, in the order they came.
    var pending: [PendingConnection] = []
    /// The clients that were denied, in the order they came.
    var held: [HeldClient] = []
    /// By which copies tell that they deny their client; only where there may be copies that do.
    let denials: DenialPipe?
    let rates = RateTable()
    var log: ConnectionLog
    /// The changes to the environment of the next child.
    var edits: [UInt8] = []
    private let messages: Messages
    var listener: Listener
    var signals: ServerSignals
    /// What accept failed with last; said once for as long as it lasts.
    private var trouble: Errno?

    /// Binds, becomes the user wanted, is confined, prints the port if wanted and closes standard input
    /// and output. From then on SIGTERM ends the process with 0.
    public init(_ options: TCPServerOptions, _ invocation: Invocation, _ messages: Messages)
        throws(Failure)
    {
        try ServerSignals.prepare()
        let listener = try Listener.open(options, invocation.environment)
        let signals = try ServerSignals.take(drains: options.drains)
        let denials = options.mayDenyLater ? try DenialPipe() : nil
        try options.assumeIdentity()
        try options.confine?()
        if options.reportsPort { try report(listener.port) }
        closeUnowned(Standard.input)
        closeUnowned(Standard.output)
        self.options = options
        self.denials = denials
        self.messages = messages
        setup = signals.childSetup
        self.signals = signals
        access = Access(options, invocation.environment)
        var invocation = invocation
        for variable in Listener.passingVariables { invocation.environment.unset(variable) }
        let program = PreparedProgram(invocation)
        self.program = program
        starter = ProgramStarter(program)
        log = ConnectionLog(messages, isOn: options.common.verbosity == .all)
        self.listener = listener
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
                let tookOne = isFull ? false : try takeConnection()
                attend(listening: !isFull, waiting: !tookOne)
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
            attend(listening: false, waiting: true)
            reapChildren()
        }
        exitNow(0)
    }

    /// How many connections there are, without those whose client was denied.
    var connections: Int { children.count + pending.count }

    /// Serves a connection that has come. Returns false when there was none.
    private mutating func takeConnection() throws(SystemError) -> Bool {
        do throws(SystemError) {
            guard let accepted = try accept(listener.socket) else { return false }
            trouble = nil
            serve(accepted)
        } catch {
            try overcome(error)
        }
        return true
    }

    /// Says what accept failed with, once for as long as it lasts, and waits if the same would happen
    /// again at once.
    private mutating func overcome(_ error: SystemError) throws(SystemError) {
        switch error.errno {
        case .interrupted: return
        case .connectionAborted, .protocolError:
            // That connection failed; the next one need not.
            return warn("dropping connection, unable to accept", error.errno)
        case .badDescriptor, .invalid, .notSocket: throw error
        default: break
        }
        if trouble != error.errno { warn("unable to accept", error.errno) }
        trouble = error.errno
        signals.wait(until: Instant.now.advanced(milliseconds: 100))
    }

    /// Sees to all but new connections. With `waiting` it returns when something has happened, a new
    /// connection among that if `listening`.
    private mutating func attend(listening: Bool, waiting: Bool) {
        releaseHeldClients()
        let deadline = earlier(pending.first?.deadline, held.first?.deadline)
        if pending.isEmpty && denials == nil {
            if !waiting { return }
            if listening {
                signals.wait(orFor: listener.socket, until: deadline)
            } else {
                signals.wait(until: deadline)
            }
            return
        }
        var awaited = [Awaited(listening ? listener.socket : -1), Awaited(-1)]
        if let denials { awaited[1] = Awaited(denials.number) }
        for one in pending { awaited.append(Awaited(one.number)) }
        signals.wait(for: &awaited, until: waiting ? deadline : .now)
        if awaited[1].isReady { denials?.forEach { children.deny($0) } }
        attendPending(awaited.dropFirst(2))
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

    /// Without children there is nothing to reap, and no other error is possible.
    private func reapOne() -> WaitResult { do { return try reap() } catch { return .noChildren } }

    private mutating func noteEnd(of pid: ProcessID, _ status: ExitStatus) {
        guard children.remove(pid) else { return }
        if let errno = starter.failure(of: pid) {
            warn("dropping connection, unable to run \(program.program)", errno)
        }
        log.ended(pid, status)
        log.status(connections, of: options.limit)
    }

    func warn(_ text: ByteString, _ errno: Errno?) {
        if options.common.verbosity > .silent { messages.warning(text, errno) }
    }
}

private func earlier(_ first: Instant?, _ second: Instant?) -> Instant? {
    guard let first, let second else { return first ?? second }
    return min(first, second)
}

private func report(_ port: UInt16) throws(Failure) {
    do { try writeAll(Standard.output, Array(ByteString("\(port)\n").bytes)) } catch {
        throw error.explained("unable to print the port")
    }
}
