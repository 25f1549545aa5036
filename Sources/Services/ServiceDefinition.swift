import Bytes

/// What a service directory asks for, whatever its dialect: daemontools', runit's, s6's, daemontools-encore's, or the
/// file `settings`. A directory with nothing but `run` in it asks for `ServiceDefinition.plain`.
///
/// Times are nanoseconds. Names are those of entries of the scan directory.
public struct ServiceDefinition: Equatable, Sendable {
    /// What kind of thing it is.
    public enum Kind: UInt8, CaseIterable, Sendable {
        /// A process that stays: `run`.
        case longrun
        /// A program that does its work and ends, `up` (or `run`), and is undone by `down` at the stop.
        case oneshot
        /// Nothing but a name for others: it is up when all its contents are.
        case bundle
    }

    /// The programs that a directory may hold besides `run`.
    public struct Programs: OptionSet, Equatable, Sendable {
        /// A bit for each.
        public let rawValue: UInt16
        /// The programs of these bits.
        public init(rawValue: UInt16) { self.rawValue = rawValue }

        /// `finish`, run after each death of `run`: runit's and s6's.
        public static let finish = Programs(rawValue: 1)
        /// `start`, run before the first `run`: encore's.
        public static let start = Programs(rawValue: 2)
        /// `stop`, run after the last death of `run`: encore's.
        public static let stop = Programs(rawValue: 4)
        /// `notify`, told of every start and end: encore's.
        public static let notify = Programs(rawValue: 8)
        /// `down`, the executable that undoes a one-shot: s6-rc's.
        public static let down = Programs(rawValue: 16)
        /// `control/`, whose programs are asked before a signal is sent: runit's.
        public static let control = Programs(rawValue: 32)
        /// `run`. encore may do without one where there is `start`.
        public static let run = Programs(rawValue: 64)
        /// `up`, which a one-shot runs in place of `run`: s6-rc's.
        public static let up = Programs(rawValue: 128)
        /// `control/u`, run before each `run`: runit's.
        public static let announce = Programs(rawValue: 256)
    }

    /// How `finish` is told of the death.
    public enum Dialect: UInt8, CaseIterable, Sendable {
        /// `./finish CODE STATUS`: -1 and the low byte of the wait status for a signal.
        case runit
        /// `./finish CODE SIGNAL NAME GROUP`: 256 and the signal's number.
        case s6
    }

    /// How it is known that the service is ready.
    public enum Readiness: Equatable, Sendable {
        /// It is ready as soon as it is up.
        case start
        /// It writes a line to this descriptor.
        case descriptor(Int32)
        /// It sends READY=1 to `$NOTIFY_SOCKET`. sd_notify(3).
        case notify
        /// This command, given to `sh -c` if it has more than one word, exits 0.
        case command(ByteString)
        /// A TCP connection to this address, of the form `ADDRESS:PORT`, is accepted.
        case tcp(ByteString)
        /// A connection to this UNIX stream socket is accepted.
        case unix(ByteString)
    }

    /// What follows when it is not ready in time.
    public enum LateConsequence: UInt8, CaseIterable, Sendable {
        /// It is stopped and counts as failed for good.
        case fail
        /// It is stopped and started again, as after a failure.
        case restart
        /// It is taken as ready, and that is said.
        case proceed
    }

    /// After which ends it is started again while it is to be up.
    public enum Restart: UInt8, CaseIterable, Sendable {
        /// After each, which is daemontools' way.
        case always
        /// After those that are failures.
        case onFailure
        /// After none.
        case never
    }

    /// What it does to others when it ends or fails for good.
    public enum Consequence: Equatable, Sendable {
        /// The others are left alone.
        case nothing
        /// Those that need it are stopped, and started again once it is ready again.
        case restartDependents
        /// This service is told to run once.
        case run(ByteString)
    }

    /// Whom a signal to stop reaches.
    public enum Reach: UInt8, CaseIterable, Sendable {
        /// The process alone: daemontools' way.
        case process
        /// Its process group.
        case group
        /// All that belongs to it and that it leaves behind: its control group or, where there is none, its session.
        case everything
    }

    /// A socket that the supervisor opens and holds for the service. sd_listen_fds(3).
    public struct Socket: Equatable, Sendable {
        /// What is opened: a stream or a datagram socket, of the internet or in the file system.
        public enum Kind: UInt8, CaseIterable, Sendable { case tcp, udp, unix, unixDatagram }
        /// What is opened.
        public var kind: Kind
        /// `ADDRESS:PORT`, which `ServiceDefinition.endpoint` reads, or a path.
        public var address: ByteString
        /// Its name in LISTEN_FDNAMES.
        public var name: ByteString

        /// A socket.
        public init(kind: Kind, address: ByteString, name: ByteString) {
            self.kind = kind
            self.address = address
            self.name = name
        }
    }

    /// How a process may end, for lists of exit codes and signals.
    public enum Ending: Hashable, Sendable {
        /// It exited with this code.
        case code(UInt8)
        /// This signal killed it.
        case signal(Int32)
    }

    /// What kind of thing it is.
    public var kind = Kind.longrun
    /// The programs that its directory has.
    public var programs: Programs = .run
    /// How `finish` is told of the death.
    public var dialect = Dialect.runit

    // What comes first.
    /// These must be ready before it starts, and are brought up with it.
    public var needs: [ByteString] = []
    /// These are brought up with it, and it waits for them, but does without them if they fail.
    public var wants: [ByteString] = []
    /// It waits for these if they are to be up.
    public var after: [ByteString] = []
    /// These wait for it if it is to be up.
    public var before: [ByteString] = []
    /// What a bundle stands for.
    public var contents: [ByteString] = []

    // Its pipeline.
    /// The service that reads what it writes.
    public var consumer: ByteString?
    /// The services whose output it reads.
    public var producers: [ByteString] = []
    /// The name by which others mean the whole pipeline that ends with it.
    public var pipelineName: ByteString?

    // When it is ready.
    /// How it is known that it is ready.
    public var readiness = Readiness.start
    /// How long it may take to become ready; nil for ever.
    public var readyLimit: UInt64?
    /// What follows when that is over.
    public var ifLate = LateConsequence.fail
    /// How often a service with `notify` has to say WATCHDOG=1; nil for never.
    public var watchdog: UInt64?

    // What follows its end.
    /// After which ends it is started again while it is to be up.
    public var restart = Restart.always
    /// The least time from a start to the next; doubled after each failure in a row, up to `longestDelay`.
    public var delay: UInt64 = 1_000_000_000
    /// No delay is longer; the same as `delay` for one that does not grow.
    public var longestDelay: UInt64 = 1_000_000_000
    /// So many restarts in `limitWindow`, then it has failed; nil for no limit.
    public var restartLimit: UInt32?
    /// The time within which restarts are counted; 0 without a limit.
    public var limitWindow: UInt64 = 0
    /// Ends that are no failure, besides exit code 0 and the signal it was told to stop with.
    public var successes: [Ending] = []
    /// Ends after which it is not started again.
    public var finals: [Ending] = []
    /// What follows for others when it has ended and is not started again.
    public var onEnd = Consequence.nothing
    /// What follows for others when it has failed for good.
    public var onFailure = Consequence.nothing
    /// Whether everything is stopped, with this service's exit status, when it is over for good.
    public var isEssential = false

    // How it is stopped.
    /// What `svc -d` sends. signal(7).
    public var stopSignal: Int32 = 15
    /// What the command `l` sends.
    public var reloadSignal: Int32 = 1
    /// How long it may take to stop before it gets KILL; nil for ever.
    public var stopLimit: UInt64?
    /// Whom the signals to stop reach.
    public var stopReach = Reach.process
    /// Whether only KILL reaches the whole group: s6's `flag-timeout-killpg`.
    public var killsGroup = false
    /// How long `finish` may take before it is killed; nil for ever, which is runit's way. s6's is 5 s.
    public var finishLimit: UInt64?
    /// How long a one-shot's `up` may take.
    public var upLimit: UInt64?
    /// How long a one-shot's `down` may take.
    public var downLimit: UInt64?

    // What it is given.
    /// The directory, in the service directory, of variables added to its environment, as envdir reads it.
    public var environment: ByteString?
    /// The sockets that are opened for it, in the order of its descriptors from 3 on.
    public var sockets: [Socket] = []
    /// Whether it is started only when somebody connects to one of them.
    public var startsOnConnection = false
    /// Whether there is something to connect to, too.
    var awaitsConnection: Bool { startsOnConnection && !sockets.isEmpty }
    /// How many descriptors it may leave with the supervisor.
    public var storeLimit: UInt32 = 0

    /// One that asks for nothing but `run`.
    public init() {}

    /// One that asks for nothing but `run`.
    public static let plain = ServiceDefinition()
}
