import Bytes
import Formats

/// Where a service directory is to be found.
public enum Place: Equatable, Sendable {
    /// At a path.
    case path(ByteString)
    /// Under a name in the scan directory, if it is the directory that was seen there.
    case entry(name: ByteString, FileID)
    /// `log` in such a directory.
    case logger(name: ByteString, FileID)
}

/// What is to be done, by whoever may make system calls. Those that say so have an outcome, which is an event.
public enum Action: Equatable, Sendable {
    /// Read the scan directory. Outcome: `listed` or `notListed`.
    case list
    /// See what an entry looks like. Outcome: `inspected` or `notExamined`.
    case inspect(PairID, name: ByteString, FileID)
    /// See whether an entry has a `log`. Outcome: `examined` or `notExamined`.
    case examine(PairID, name: ByteString, FileID)
    /// Make the pipe between a service and its logger. Outcome: `piped` or `notPiped`.
    case makePipe(PairID)
    /// Close the end that the service writes to.
    case closeWriter(PairID)
    /// Close the end that the logger reads from.
    case closeReader(PairID)
    /// Lock a service directory and open its control FIFO. Outcome: `opened` or `notOpened`.
    case open(ServiceID, Place, name: ByteString)
    /// Close it all.
    case close(ServiceID)
    /// Start the process; when it `checks`, see first whether the name leads elsewhere or a `log` has appeared. Outcome:
    /// `started`, `refused`, `congested`, `displaced`, `redefined` or `loggerAppeared`.
    /// One whose definition has changed since is `redefined`.
    indirect case start(ServiceID, Standing, Launch = .plain, checks: Bool)
    /// Start a program beside a service, if it has that one. Outcome: `accompanied`.
    indirect case accompany(ServiceID, Standing, Companion, ServiceDefinition)
    /// Read again what a service directory asks for. Outcome: `defined`.
    case define(ServiceID)
    /// Begin to find out whether a service is ready, in the way that is not its own to tell. When it is found so, that
    /// is `ready`.
    indirect case probe(ServiceID, pid: Int32, ServiceDefinition.Readiness)
    /// Open the sockets of a service that has no process, and wait until somebody connects or sends. That, or that they
    /// cannot be opened, is `connected`.
    case awaitConnection(ServiceID)
    /// Close the sockets, and what else is held for a service across its restarts: it is to stay down.
    case closeHeld(ServiceID)
    /// Send a signal to a process that has not been reaped, or to what belongs to it too.
    case signal(pid: Int32, ServiceSignal, ServiceDefinition.Reach = .process)
    /// Kill what a process that has been reaped left behind, or only tell of it where its signals reach no further than
    /// the process.
    case killRest(ServiceID, pid: Int32, ServiceDefinition.Reach)
    /// Write the status file. The first time this also tells svok that the service is supervised.
    case writeStatus(ServiceID, StatusRecord)
    /// Send signals to every other process but the loggers, which end by themselves.
    case signalOthers([ServiceSignal], sparing: [Int32])
    /// Wait once more for children, as if one had ended.
    case expectChildren
    /// Tell people.
    case say(Remark)
    /// End, or bring the machine to its end.
    case end(Ending, exitCode: Int32)
}

/// What a service is to its supervisor: where it reads and writes.
public enum Standing: Equatable, Sendable {
    /// The only service of the program supervise, which reads and writes what that does.
    case single
    /// A service of the scan directory: it writes to its pair's pipe, if there is one.
    case main(PairID)
    /// The `log` of such a service: it reads from the pipe.
    case logger(PairID)
    /// What a container was asked to run besides its services.
    case command
}

/// Which program of a service to start, and for which definition.
public struct Launch: Equatable, Sendable {
    /// Which of its programs.
    public let role: ProgramRole
    /// What its directory asks for; nil for nothing but `run`.
    public let definition: ServiceDefinition?
    /// What it reads from and writes to, if that is a pipeline.
    public let pipeline: PipelineEnds

    /// A program of a service with that definition.
    public init(
        _ role: ProgramRole, _ definition: ServiceDefinition? = nil,
        _ pipeline: PipelineEnds = PipelineEnds()
    ) {
        self.role = role
        self.definition = definition
        self.pipeline = pipeline
    }

    /// `run`, and nothing that belongs to it.
    public static let plain = Launch(.run)
}

/// A line for people.
public struct Remark: Equatable, Sendable {
    /// How bad it is.
    public enum Severity: UInt8, Sendable {
        /// Something is wrong, and supervision goes on.
        case warning
        /// It is the end of something.
        case fatal
    }

    /// How bad it is.
    public let severity: Severity
    /// The line, without the program's name.
    public let text: ByteString
    /// The cause, as errno; 0 when there is none.
    public let errno: Int32
    /// The service whose program could not be started: its file may tell more.
    public let program: ServiceID?
    /// What is wrong in that service's definition: the file and line may tell more.
    public let problem: DependencyGraph.Problem?

    init(
        _ severity: Severity, _ text: ByteString, errno: Int32 = 0, program: ServiceID? = nil,
        problem: DependencyGraph.Problem? = nil
    ) {
        self.problem = problem
        self.severity = severity
        self.text = text
        self.errno = errno
        self.program = program
    }
}
