import Bytes
import Formats

/// All that decides in supervision: services, loggers, the main command, what the scan found, the stop. Events go
/// in, actions come out; it makes no system call, and knows no time but the one it is told.
///
/// Whoever drives it performs the actions in order and hands in their outcomes, in order, before any other event:
///
///     kernel → Supervisor → Event → Conductor → [Action] → Performer → kernel
///                             ↑                                │
///                             └────────── outcomes ────────────┘
public struct Conductor: Equatable, Sendable {
    /// What differs between the programs that supervise.
    public struct Configuration: Equatable, Sendable {
        /// The service directory that is all there is to supervise; nil when there is a scan directory or none.
        public var single: ByteString?
        /// Whether there is a scan directory.
        public var hasScanDirectory: Bool
        /// The program of the main command, for messages; nil when there is none.
        public var command: ByteString?
        /// How many nanoseconds a stop may take.
        public var stopLimit: UInt64
        /// How many of these are kept for what comes after the services.
        public var stopReserve: UInt64
        /// Whether a stop reaches other processes too, and waits for all children.
        public var reachesOthers: Bool
        /// Whether the main command is started when all services are up, or will not be.
        public var commandWaits = false
        /// For how many nanoseconds it waits; nil for ever.
        public var commandPatience: UInt64?

        /// A configuration of these parts.
        public init(
            single: ByteString? = nil, hasScanDirectory: Bool = false, command: ByteString? = nil,
            stopLimit: UInt64, stopReserve: UInt64, reachesOthers: Bool
        ) {
            self.single = single
            self.hasScanDirectory = hasScanDirectory
            self.command = command
            self.stopLimit = stopLimit
            self.stopReserve = stopReserve
            self.reachesOthers = reachesOthers
        }
    }

    let configuration: Configuration
    /// The services, loggers and the main command.
    var services = Table<Service>()
    /// The entries of the scan directory.
    var pairs = Table<ServicePair>()
    /// What services ask for whose directories hold more than `run`.
    var definitions: [ServiceID: ServiceDefinition] = [:]
    /// What services say of themselves.
    var texts: [ServiceID: ByteString] = [:]
    /// What is done for services by programs beside them.
    var companions: [ServiceID: CompanionQueue] = [:]
    /// What comes before what.
    var order = ServiceOrder()
    /// How the service that all depends on ended, in the shell's terms, once it is over.
    var essentialCode: Int32?
    /// The same in words.
    var essentialReason: ByteString?
    /// Which service a process is.
    var processes: [Int32: ServiceID] = [:]
    /// What is known of the scan directory.
    var scan = ScanState()
    /// Which pair was last found not to be settled.
    var unsettled = SearchHint()
    /// The stop, once it has been asked for.
    var stop: StopPlan?
    /// What the stop is to end with.
    var ending = Ending.exit
    /// Whether this process has children, as far as it knows.
    var hasChildren = true
    /// Whether a service had to be killed in the stop.
    var hasKilled = false
    /// How the main command ended, in the shell's terms, once it has.
    var commandCode: Int32?
    /// When the main command is started though services are not up yet.
    var commandDue: UInt64?
    /// Whether the command that is being obeyed is for process groups.
    var reachesGroup = false
    /// Whether the end has been given out.
    var isOver = false

    /// A conductor that waits for the event `began`.
    public init(_ configuration: Configuration) { self.configuration = configuration }

    /// Takes an event; returns what is to be done, in order.
    public mutating func handle(_ event: Event, at now: Moment) -> [Action] {
        if isOver { return [] }
        let actions = respond(to: event, at: now)
        if isOver { return actions }
        if stop == nil { return actions + goOn(at: now) }
        // Nobody is started any more.
        order.ignoreChanges()
        return actions + advanceStop(at: now)
    }

    private mutating func goOn(at now: Moment) -> [Action] {
        let actions = releaseBlocked(at: now) + releaseCommand(at: now)
        // Something essential may have failed.
        if stop != nil {
            order.ignoreChanges()
            return actions + advanceStop(at: now)
        }
        return actions + endIfNothingIsLeft()
    }

    private mutating func respond(to event: Event, at now: Moment) -> [Action] {
        switch event {
        case .began: begin(at: now)
        case .commanded(let id, let command): obey(command, id, at: now)
        case .groupCommanded(let id, let command): obeyWithGroup(command, id, at: now)
        case .died(let pid, let death): noteDeath(of: pid, death, at: now)
        case .noChildrenLeft: noteNoChildren()
        case .directoryChanged: lookSoon(at: now)
        case .rescanAsked: rescan(at: now)
        case .stopAsked(let ending, let signal): beginStop(ending, signal, at: now)
        case .forwarded(let signal): forward(signal)
        case .timePassed: passTime(at: now)
        case .listed(let listing): noteListing(listing, at: now)
        case .notListed(let complaint): noteNoListing(complaint, at: now)
        case .inspected(let pair, let signature, let hasRun):
            noteInspection(pair, signature, hasRun, at: now)
        case .examined(let pair, let log): noteExamination(pair, log, at: now)
        case .notExamined(let pair, let complaint): noteTrouble(pair, complaint, at: now)
        case .piped(let pair): notePipe(pair, at: now)
        case .notPiped(let pair, let complaint): noteTrouble(pair, complaint, at: now)
        case .opened(let id, let isDown, let definition):
            noteOpening(id, isDown, definition, at: now)
        case .defined(let id, let definition): noteDefinition(id, definition, at: now)
        case .redefined(let id, let definition): noteRedefinition(id, definition, at: now)
        case .ready(let id): tell(id, .ready, at: now)
        case .said(let id, let notice): hear(notice, from: id, at: now)
        case .connected(let id): noteConnection(to: id)
        case .notOpened(let id, let complaint): noteNoOpening(id, complaint, at: now)
        case .started(let id, let pid): noteStart(id, pid, at: now)
        case .adopted(let id, let pid, let since, let isReady):
            noteAdoption(id, pid, since, isReady, at: now)
        case .refused(let id, let errno): noteRefusal(id, errno, at: now)
        case .notPrepared(let id, let complaint): noteLack(id, complaint, at: now)
        case .congested(let id): tell(id, .congested, at: now)
        case .accompanied(let id, let outcome): noteCompanion(id, outcome, at: now)
        case .displaced(let id): noteDisplacement(id, at: now)
        case .loggerAppeared(let id): noteLogger(id, at: now)
        }
    }

    private mutating func begin(at now: Moment) -> [Action] {
        var actions: [Action] = []
        if let name = configuration.single {
            let id = add(Service(name: name, standing: .single, at: now))
            actions.append(.open(id, .path(name), name: name))
        }
        if configuration.hasScanDirectory { actions.append(.list) }
        if let program = configuration.command {
            var service = Service(name: program, standing: .command, at: now)
            service.machine = ServiceMachine(wish: .none)
            service.machine.isOrdered = configuration.commandWaits
            commandDue = configuration.commandPatience.map { now.nanoseconds + $0 }
            actions += tell(add(service), .begin, at: now)
        }
        return actions
    }

    mutating func add(_ service: Service) -> ServiceID { ServiceID(services.add(service)) }

    private mutating func noteNoChildren() -> [Action] {
        hasChildren = false
        return []
    }

    private mutating func forward(_ signal: ServiceSignal) -> [Action] {
        guard let command, let pid = services[command.index]?.machine.pid, pid != 0 else {
            return []
        }
        return [.signal(pid: pid, signal)]
    }

    /// The main command, while it is there.
    var command: ServiceID? {
        if configuration.command == nil { return nil }
        return services.indices.first { services[$0]?.standing == .command }.map { ServiceID($0) }
    }

    private mutating func passTime(at now: Moment) -> [Action] {
        var actions: [Action] = []
        for index in services.indices {
            guard let due = services[index]?.machine.deadline, due <= now.nanoseconds else {
                continue
            }
            actions += tell(ServiceID(index), .deadline, at: now)
        }
        actions += passTimeOfCompanions(at: now)
        return actions + remindOfOldServices(at: now) + lookIfDue(at: now)
    }

    /// Whether a stop has begun: nothing is started any more.
    public var isStopping: Bool { stop != nil }

    /// When to hand in `timePassed`, in nanoseconds of the clock that never goes back; nil for never.
    public var deadline: UInt64? {
        var first = stop?.deadline ?? scanDeadline
        for index in services.indices {
            if let due = services.places[index]?.machine.deadline { first = min(first ?? due, due) }
        }
        if stop == nil, let due = commandDue { first = min(first ?? due, due) }
        for queue in companions.values {
            if let due = queue.deadline { first = min(first ?? due, due) }
        }
        return first
    }

    /// What svscan and supervise do when they have nothing to do any more.
    private mutating func endIfNothingIsLeft() -> [Action] {
        guard configuration.single != nil, services.isEmpty else { return [] }
        isOver = true
        return [.end(.exit, exitCode: 0)]
    }
}
