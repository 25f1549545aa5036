import Bytes
import Commands
import Formats
import Linux
import Services

/// The process that puts the names of services before their lines, for all services without a logger: svoutput(8). Each
/// service writes to a pipe of its own, both ends of which stay open here, as a logger's do: so neither's restart loses a
/// line. It gets the other ends over a socket, and ends by itself when that and the pipes have ended.
final class OutputLogger {
    /// How long it must have run to be started again at once, and how long that waits else.
    private static let pause: UInt64 = 1000
    /// How long to wait when it takes no more descriptors for now.
    private static let congestion: UInt64 = 50

    private let program: PreparedProgram
    private let starters: Starters
    private let messages: Messages
    private let descriptorLimit: Int32
    /// Whether standard output and standard error are the same, so that one pipe keeps lines in order.
    private let isOneStream: Bool
    private var socket: Descriptor?
    private var pid: ProcessID = 0
    private var started = Instant.now
    private var hasUnsent = false
    private var nextStep = Instant.now
    private var isClosed = false
    private var wasSpared = false
    private var hasComplained = false
    /// Where the process and the pipes are written down.
    var carryover: Carryover?

    /// Nil when the configuration asks for none.
    init?(
        _ configuration: Supervisor.Configuration, _ starters: Starters, _ messages: Messages,
        descriptorLimit: Int32
    ) {
        guard let form = configuration.lineForm else { return nil }
        let words: [ByteString] = form == .json ? ["svoutput", "-j"] : ["svoutput"]
        program = PreparedProgram(
            Invocation(
                OutputLogger.binary, arguments: words,
                environment: configuration.environment.withoutSupervisor))
        self.starters = starters
        self.messages = messages
        self.descriptorLimit = descriptorLimit
        isOneStream = OutputLogger.areSame(Standard.output, Standard.error)
    }

    /// This process's file.
    private static var binary: ByteString {
        let path: ByteString = "/proc/self/exe"
        do throws(SystemError) { if try exists(path) { return path } } catch {}
        return CurrentProcess.executedPath ?? path
    }

    private static func areSame(_ first: Int32, _ second: Int32) -> Bool {
        do throws(SystemError) {
            return try status(of: first).identity == status(of: second).identity
        } catch { return false }
    }

    /// Messages of the supervisor, in the form of services' lines where a program is to read these.
    static func messages(_ messages: Messages, _ form: ServiceLineForm?) -> Messages {
        guard form == .json else { return messages }
        var formed = messages
        formed.form = { [program = messages.program] text in
            let (seconds, nanoseconds) = wallClock()
            let now = TAI64N(unixSeconds: seconds, nanoseconds: nanoseconds)
            return ServiceLineForm.json.line(text, of: program, at: now)
        }
        return formed
    }

    private var socketNumber: Int32? {
        switch socket {
        case .some(let socket): socket.number
        case .none: nil
        }
    }

    /// When to call `goOn` though nothing has happened.
    var deadline: Instant? { hasUnsent && !isClosed ? nextStep : nil }

    /// Has a service that is about to be started write to its pipes, unless it has a logger to write to.
    func redirect(_ descriptors: inout [Int32], of service: OpenService, _ id: ServiceID) {
        let output = service.output ?? ServiceOutput()
        service.output = output
        let before = output.fact(id)
        do throws(SystemError) {
            let wantsOutput = descriptors.count > 1 && descriptors[1] < 0
            if wantsOutput {
                descriptors[1] = try output.number(isError: false, limit: descriptorLimit)
            }
            if isOneStream && wantsOutput {
                descriptors.append(descriptors[1])
            } else {
                descriptors.append(try output.number(isError: true, limit: descriptorLimit))
            }
        } catch {
            messages.warning(
                "unable to create pipe, \(service.name) writes without its name", error.errno)
        }
        if output.fact(id) != before { carryover?.write(output.fact(id)) }
        if output.isUnsent && !hasUnsent {
            hasUnsent = true
            nextStep = .now
        }
    }

    /// Starts the process if there is none, and sends it what it does not have yet, as far as that is possible now. When a
    /// stop has left no service, lets it end.
    func goOn(_ services: [OpenService?], isStopping: Bool) {
        if isStopping && !isClosed && services.allSatisfy({ $0 == nil }) {
            isClosed = true
            socket = nil
        }
        guard hasUnsent, !isClosed, nextStep <= .now else { return }
        if pid == 0 { start(services) }
        guard let socket = socketNumber else { return }
        do throws(SystemError) {
            for case .some(let service) in services {
                try service.output?.sendAll(named: service.name, over: socket)
            }
            hasUnsent = false
        } catch {
            // It takes them later.
            nextStep = Instant.now.advanced(milliseconds: OutputLogger.congestion)
        }
    }

    private func start(_ services: [OpenService?]) {
        nextStep = Instant.now.advanced(milliseconds: OutputLogger.congestion)
        do throws(SystemError) {
            let ends = try makeUnixPacketPair()
            let ours = Descriptor(owning: ends.0)
            let its = Descriptor(owning: ends.1)
            var setup = ChildSetup()
            setup.descriptors = [its.number]
            setup.newSession = true
            guard let child = try starters.start(program, setup) else { return }
            pid = child
            socket = consume ours
            started = .now
            carryover?.write(fact)
            for case .some(let service) in services { service.output?.forgetSending() }
        } catch {
            nextStep = Instant.now.advanced(milliseconds: OutputLogger.pause)
            if hasComplained { return }
            hasComplained = true
            messages.warning("unable to run svoutput, output of services waits", error.errno)
        }
    }

    /// What is held of the process.
    var fact: HeldFact { .outputLogger(pid, socket: socketNumber ?? -1) }

    /// Goes on with the process that another image of this one started. Which pipes that knows is not known: it gets all
    /// of them again, and takes none twice.
    func adopt(_ pid: ProcessID, socket: consuming Descriptor?) {
        self.socket = socket
        self.pid = pid
        hasUnsent = true
        nextStep = .now
    }

    /// Takes the end of a child; false when it was another's.
    func noteEnd(of child: ProcessID) -> Bool {
        guard child == pid, pid != 0 else { return false }
        pid = 0
        socket = nil
        carryover?.write(fact)
        if isClosed { return true }
        messages.warning("svoutput has ended, starting it again")
        hasUnsent = true
        let earliest = started.advanced(milliseconds: OutputLogger.pause)
        nextStep = max(earliest, .now)
        return true
    }

    /// Who is not to be sent these signals when everybody else is. Like other loggers it ends when all who write have: it
    /// meets the second KILL.
    func spared(from signals: [ServiceSignal]) -> [ProcessID] {
        if pid == 0 || wasSpared && signals.contains(.kill) { return [] }
        if signals.contains(.kill) { wasSpared = true }
        return [pid]
    }
}

/// The pipes of a service to the process that it shares with others.
final class ServiceOutput {
    private struct Stream {
        let pipe: LogPipe
        var isSent = false
    }

    private var output: Stream?
    private var error: Stream?

    /// Without pipes.
    init() {}

    /// With those that another image of this process made.
    init(adopting pipes: (output: LogPipe?, error: LogPipe?)) {
        output = pipes.output.map { Stream(pipe: $0) }
        error = pipes.error.map { Stream(pipe: $0) }
    }

    /// What is held.
    func fact(_ id: ServiceID) -> HeldFact {
        .output(
            id,
            HeldFact.OutputNumbers(
                reader: output?.pipe.readerNumber ?? -1, writer: output?.pipe.writerNumber ?? -1,
                errorReader: error?.pipe.readerNumber ?? -1,
                errorWriter: error?.pipe.writerNumber ?? -1))
    }

    /// Whether a pipe's other end is not known to the process yet.
    var isUnsent: Bool { output?.isSent == false || error?.isSent == false }

    /// The number to write to; makes the pipe if there is none, whose numbers must be below `limit`.
    func number(isError: Bool, limit: Int32) throws(SystemError) -> Int32 {
        if let number = (isError ? error : output)?.pipe.writerNumber { return number }
        let pipe = try LogPipe()
        guard let writer = pipe.writerNumber, max(writer, pipe.readerNumber ?? 0) < limit else {
            throw SystemError("pipe2", .tooManyDescriptors)
        }
        if isError { error = Stream(pipe: pipe) } else { output = Stream(pipe: pipe) }
        return writer
    }

    /// Sends the ends to read from. Throws where one cannot be sent now.
    func sendAll(named name: ByteString, over socket: Int32) throws(SystemError) {
        try ServiceOutput.send(&output, "1\(name)", over: socket)
        try ServiceOutput.send(&error, "2\(name)", over: socket)
    }

    private static func send(_ stream: inout Stream?, _ text: ByteString, over socket: Int32)
        throws(SystemError)
    {
        guard stream?.isSent == false, let reader = stream?.pipe.readerNumber else { return }
        try Linux.send(reader, with: Array(text.bytes), over: socket)
        stream?.isSent = true
    }

    /// Takes it that another process knows none of them.
    func forgetSending() {
        output?.isSent = false
        error?.isSent = false
    }
}
