import Bytes
import Commands
import Formats
import Linux
import ServiceFiles
import Services

/// Supervises services in one event loop: one process for all of them. It turns what the kernel says into events,
/// hands them to the conductor, and has the performer do what that answers.
public final class Supervisor {
    /// What differs between the programs that supervise.
    public struct Configuration {
        /// What the conductor has to know, but for what follows from the rest.
        public var conductor: Conductor.Configuration
        /// The scan directory; nil when there is none.
        public var scanDirectory: ByteString?
        /// The main command; nil when there is none.
        public var command: Invocation?
        /// The environment of the services.
        public var environment: Environment
        /// Whether each service leads a session of its own. daemontools leaves it in the caller's.
        public var newSession = false
        /// Whether services read nothing, instead of what this process would read.
        public var nullInput = false
        /// Whether `supervise/pid` and `supervise/stat` are written, which only runit has.
        public var writesFilesOfRunit = false
        /// What the output of services without a logger looks like; nil to leave it to them.
        public var lineForm: ServiceLineForm?
        /// Whether the kernel is to kill this process after all others when memory runs out, where it may be asked for
        /// that.
        public var outlivesOthers = false
        /// Whether this process, executed again with its arguments, would come to supervise again and go on.
        public var goesOn = true
        /// The signals to take instead of suffering them. SIGCHLD is always one.
        public var signals = Configuration.allSignals
        /// What a signal that was taken means.
        public var meaning: (Signal) -> [Event]

        /// Every signal but those that tell of a fault of this process.
        public static let allSignals = SignalSet.all.subtracting(.faults)

        /// A configuration of these parts.
        public init(
            _ conductor: Conductor.Configuration, environment: Environment,
            meaning: @escaping (Signal) -> [Event]
        ) {
            self.conductor = conductor
            self.environment = environment
            self.meaning = meaning
        }
    }

    /// How it ended.
    public struct End: Equatable {
        /// What was asked for.
        public let ending: Ending
        /// The exit code that says how it went.
        public let exitCode: Int32
        /// Why, for people.
        public let reason: ByteString
        /// Whether that has not been told yet.
        public let isReasonNews: Bool
    }

    var configuration: Configuration
    /// Where another image of this process would go on from; nil where the kernel has no such place.
    var carryover: Carryover?
    /// What this image goes on from.
    var resumption: Resumption?
    /// The steps that were taken by the image before, as long as they are not all done.
    var replay: Replay?
    /// Where it speaks to people, without ever waiting.
    public let messages: Messages
    let performer: Performer
    /// How many processes the kernel kills for lack of memory, where it tells.
    private var memoryKills = MemoryKills()
    var conductor: Conductor
    var loop: EventLoop
    let signals: SignalDescriptor
    var ready: [EventLoop.Event] = []
    var isWatchMuted = false
    /// Processes that services named as their main ones, but that are still somebody else's children.
    var heirs: [ServiceID: ProcessID] = [:]
    /// Processes that are no children of this one, and had ended before it began to watch them.
    var gone: [ServiceID: ProcessID] = [:]
    /// Whether it has asked to be the reaper of orphans.
    var isReaper = false
    /// The binary that is being asked whether this process may become it, and what it answered.
    var upgrade: Upgrade?
    var mayUpgrade = false
    var end: End?
    /// True at first: what this process was before an exec may have left children behind.
    var mayHaveDead = true

    /// What may be done in one turn, so that nobody waits for long.
    enum Bound {
        static let signals = 64
        static let deaths = 256
        static let commands = 64
    }

    /// The tokens of what is not a service; those of services are their numbers.
    enum Token {
        static let signals = UInt64.max
        static let watch = UInt64.max - 1
        static let scanControl = UInt64.max - 2
        static let upgrade = UInt64.max - 3

        /// What of a service is meant.
        enum Part: UInt64 { case control, pipe, socket, listener, process }

        static func of(_ id: ServiceID, _ part: Part) -> UInt64 {
            UInt64(id.index) | part.rawValue << 32
        }

        static func parts(of token: UInt64) -> (ServiceID, Part)? {
            Part(rawValue: token >> 32).map { (ServiceID(Int(token & 0xffff_ffff)), $0) }
        }
    }

    /// Whether this image of the process goes on where another one stopped: whatever is done once has been done.
    public static var isResumed: Bool { Environment.inherited[CarriedTable.variable] != nil }

    /// Makes one that supervises nothing yet. An image that goes on leaves nobody behind for want of descriptors or memory:
    /// one more of it tries again in a second.
    public static func make(_ configuration: Configuration, messages: Messages) throws(SystemError)
        -> Supervisor
    {
        do throws(SystemError) {
            return try Supervisor(configuration, messages: messages)
        } catch {
            if isResumed && error.errno.isShortage { tryAgain(error, messages) }
            throw error
        }
    }

    /// Blocks the signals it is going to read and raises the limit on descriptors to what the kernel allows; children
    /// get both back as they were. Supervises nothing yet.
    init(_ configuration: Configuration, messages: Messages) throws(SystemError) {
        // First of all: before, a signal to process 1 is lost, and one to another process fatal.
        let taken = configuration.signals.union(SignalSet(.child))
        _ = try taken.block()
        self.configuration = configuration
        openStandardDescriptors(messages)
        self.messages = OutputLogger.messages(messages.nonBlocking, configuration.lineForm)
        // Where SIGCHLD is ignored, the kernel reaps children itself and tells nobody.
        try setDisposition(.child, ignored: false)
        signals = try SignalDescriptor(taken)
        let limit = Supervisor.raisedDescriptorLimit()
        loop = try EventLoop()
        try loop.add(signals.descriptor.number, token: Token.signals)
        resumption = try Resumption()
        if let resumption {
            carryover = Carryover(resumption.table)
            try carryover?.arm()
        }
        if let environment = resumption?.environment {
            self.configuration.environment = environment
        }
        performer = try Performer(
            self.configuration, messages: self.messages, descriptorLimit: limit)
        if let watch = performer.scan?.watchNumber { try loop.add(watch, token: Token.watch) }
        var parts = configuration.conductor
        parts.hasScanDirectory = configuration.scanDirectory != nil
        parts.command = configuration.command?.program
        conductor = Conductor(parts)
    }

    /// What the limit on descriptors was before it was raised; what most systems give, where a filter of system calls
    /// denies both the look and the change.
    private static func raisedDescriptorLimit() -> (soft: UInt64, hard: UInt64) {
        do throws(SystemError) { return try CurrentProcess.raiseDescriptorLimit() } catch {
            return (1024, 1024)
        }
    }

    /// Supervises until there is nothing more to do. Throws when waiting is not possible any more; everything that was
    /// started goes on then.
    public func run() throws(SystemError) -> End {
        // Before anybody is started.
        if configuration.outlivesOthers { outliveOthers(resumption?.table.memoryScore) }
        if let resumption { try resume(resumption) } else { begin() }
        resumption = nil
        if let score = performer.starters.score { carryover?.note(memoryScore: score.original) }
        while true {
            if let end {
                try performer.starters.score?.restore()
                return end
            }
            try turn()
            carryover?.noteProgress()
            upgradeIfDue()
            if carryover?.isLong == true { carryover?.renew(conductor, performer.facts) }
        }
    }

    func begin() {
        if configuration.goesOn && CurrentProcess.startArguments != nil {
            do throws(SystemError) {
                let carryover = try Carryover(
                    conductor, performer.facts, after: resumption?.table.fault)
                try carryover.arm()
                performer.begin(carryover)
                self.carryover = carryover
            } catch {
                messages.warning("unable to prepare for a fault of this process", error.errno)
            }
        }
        take(.began)
    }

    /// Waits until something happens or is due, and does all that follows from it.
    func turn() throws(SystemError) {
        let deadline = conductor.deadline.map { Instant(nanoseconds: $0) }
        let others = [
            performer.prober.deadline, performer.output?.deadline, upgrade?.deadline, deadline,
        ]
        let wake = (others + [lowerScore()]).compactMap { $0 }.min()
        try loop.wait(until: mayHaveDead ? .now : wake, &ready)
        for event in ready {
            switch event.token {
            case Token.signals: try takeSignals()
            case Token.watch: noteChanges()
            case Token.scanControl: readScanCommands()
            case Token.upgrade: readAnswer()
            default: takeWord(event.token)
            }
        }
        if mayHaveDead { try reapSome() }
        if let deadline, deadline <= .now { take(.timePassed) }
        probe()
        performer.output?.goOn(performer.services, isStopping: conductor.isStopping)
    }

    /// Writes an event down, makes sure that it cannot happen again, and hands it to the conductor.
    func take(
        _ event: Event, from origin: JournalEntry.Origin = .none, reaping pid: ProcessID = 0
    ) {
        let now = moment
        carryover?.write(.happened(event, now, origin))
        if pid != 0 {
            // It has ended, so that this neither waits nor fails.
            do throws(SystemError) { _ = try reap(pid) } catch {}
        }
        handle(event, at: now)
    }

    /// Hands an event to the conductor, and what comes of its actions after it.
    func handle(_ event: Event, at first: Moment) {
        var moment = first
        var events = [event]
        var isFirst = true
        while !events.isEmpty {
            var outcomes: [Event] = []
            for event in events {
                if !isFirst { moment = nextMoment() }
                isFirst = false
                for action in conductor.handle(event, at: moment) {
                    if let outcome = complete(action) { outcomes.append(outcome) }
                }
            }
            events = outcomes
        }
    }

    /// When the next outcome is, or was, handed in.
    func nextMoment() -> Moment {
        if let moment = replay?.nextMoment() { return moment }
        if replay?.isAtEnd == true { replay = nil }
        let now = moment
        if replay == nil { carryover?.write(.handed(now)) }
        return now
    }

    /// Performs an action and writes that down, unless the image before did so; returns its outcome.
    func complete(_ action: Action) -> Event? {
        let outcome: Event?
        if replay == nil {
            outcome = perform(action)
        } else if replay?.isAtEnd == true {
            replay = nil
            outcome = performAgain(action)
        } else {
            // Whatever this image itself has to know is done again.
            if case .end = action { _ = perform(action) }
            let outcome = replay?.outcome(of: action)
            if case .start(let id, _, let launch, _) = action, launch.role == .run {
                performer.service(id)?.forgetPredecessor()
            }
            switch outcome {
            case .started(let id, let pid), .adopted(let id, let pid, _, _):
                performer.service(id)?.process = pid
            default: break
            }
            return outcome
        }
        carryover?.write(.performed(tag: action.tag, outcome))
        return outcome
    }

    /// Asks services whether they are ready, as long as nobody knows it.
    func probe() {
        for id in performer.prober.services where conductor.isReady(id) { performer.prober.end(id) }
        for id in performer.prober.poll() { take(.ready(id)) }
    }

    var moment: Moment {
        let (seconds, nanoseconds) = wallClock()
        return Moment(
            nanoseconds: Instant.now.nanoseconds,
            timeOfDay: TAI64N(unixSeconds: seconds, nanoseconds: nanoseconds))
    }

    func perform(_ action: Action) -> Event? {
        switch action {
        case .end(let ending, let exitCode):
            end = End(
                ending: ending, exitCode: exitCode, reason: conductor.reason,
                isReasonNews: conductor.isReasonNews)
        case .expectChildren: mayHaveDead = true
        case .awaitConnection(let id): return listenForConnections(to: id)
        case .list:
            let outcome = performer.perform(action)
            setWatch(muted: false)
            listenToScanControl()
            return outcome
        case .open(let id, _, let name):
            let outcome = performer.perform(action)
            return listen(to: id, name) ?? outcome
        case .start(let id, _, _, _):
            let outcome = performer.perform(action)
            listenToNotices(of: id)
            if case .adopted(_, let pid, _, _) = outcome { watch(id, pid) }
            return outcome
        default: return performer.perform(action)
        }
        return nil
    }

    /// Waits for commands of a service that has been opened; returns an event only when that fails.
    func listen(to id: ServiceID, _ name: ByteString) -> Event? {
        guard let control = performer.service(id)?.control else { return nil }
        do throws(SystemError) {
            try loop.add(control, token: Token.of(id, .control))
            return nil
        } catch {
            _ = performer.perform(.close(id))
            return .notOpened(
                id,
                Complaint("unable to watch \(name)/supervise/control", error))
        }
    }

    // MARK: - What the kernel says

    func takeSignals() throws(SystemError) {
        for _ in 0..<Bound.signals {
            if let carryover {
                guard let (signal, serial) = try carryover.readSignal(signals) else { return }
                take(signal, serial)
            } else {
                guard let signal = try signals.next() else { return }
                take(signal, 0)
            }
        }
    }

    /// Takes a signal, but for what has been taken of it already.
    func take(_ signal: Signal, _ serial: UInt32, from first: Int = 0) {
        if signal == .child {
            mayHaveDead = true
            return
        }
        for (part, event) in configuration.meaning(signal).enumerated() where part >= first {
            take(
                event,
                from: .init(
                    serial: serial, part: UInt16(truncatingIfNeeded: part), isSignal: true))
        }
    }

    /// While a change waits for the next listing, further ones wake nobody.
    func noteChanges() {
        guard performer.scan?.drain() == true else { return }
        setWatch(muted: true)
        take(.directoryChanged)
    }

    /// Waits for svscanctl, once there is what it writes to.
    func listenToScanControl() {
        guard let number = performer.scan?.newControlNumber else { return }
        do throws(SystemError) { try loop.add(number, token: Token.scanControl) } catch {
            messages.warning("unable to watch for commands of svscanctl", error.errno)
        }
    }

    func readScanCommands() {
        guard let number = performer.scan?.controlNumber else { return }
        do throws(SystemError) {
            takeScanCommands(try readLetters(number, Token.scanControl))
        } catch {}
    }

    func takeScanCommands(_ letters: CarriedTable.Letters, from first: Int = 0) {
        for (part, letter) in letters.bytes.enumerated() where part >= first {
            guard let command = ScanCommand(rawValue: letter) else { continue }
            let origin = letters.origin(part)
            switch command {
            case .rescan: take(.rescanAsked, from: origin)
            case .stop: take(.stopAsked(.exit, signal: .terminate), from: origin)
            case .upgrade: beginUpgrade(to: nil)
            case .upgradeToNamed: beginUpgradeToNamed()
            }
        }
    }

    /// Reads some of what waits at a descriptor, in such a way that a fault right after it forgets nothing.
    func readLetters(_ number: Int32, _ token: UInt64) throws(SystemError)
        -> CarriedTable.Letters
    {
        if let carryover { return try carryover.readLetters(number, token: token) }
        return try withUnsafeTemporaryAllocation(byteCount: Bound.commands, alignment: 1) {
            (buffer) throws(SystemError) in
            let count = try read(number, into: buffer)
            return .init(token: token, serial: 0, bytes: Array(buffer[..<count]))
        }
    }

    func setWatch(muted: Bool) {
        guard isWatchMuted != muted, let watch = performer.scan?.watchNumber else { return }
        do throws(SystemError) {
            // To ask for nothing is not enough: the kernel would still wake this process for each change.
            if muted { try loop.remove(watch) } else { try loop.add(watch, token: Token.watch) }
            isWatchMuted = muted
        } catch {
            messages.warning("unable to change what is waited for", error.errno)
        }
    }

    /// Reaps what has ended, but not so much at once that services wait for long.
    func reapSome() throws(SystemError) {
        takeGone()
        for _ in 0..<Bound.deaths {
            switch try peekAtChildren() {
            case .ended(let pid, let status):
                let error = performer.startError(of: pid)
                if performer.output?.noteEnd(of: pid) == true { break }
                if let id = performer.prober.noteDeath(of: pid, status.raw) { take(.ready(id)) }
                installHeir(of: pid)
                let ranOutOfMemory = hasRunOutOfMemory(pid, status)
                take(
                    .died(
                        pid: pid,
                        Death(
                            status: status.raw, startError: error, ranOutOfMemory: ranOutOfMemory)),
                    reaping: pid)
            case .resumed(let pid): _ = try reap(pid)
            case .nothingYet:
                mayHaveDead = false
                return
            case .noChildren:
                mayHaveDead = false
                return take(.noChildrenLeft)
            }
        }
    }

    /// Whether a child that was killed was so for lack of memory, as far as that can be told.
    func hasRunOutOfMemory(_ pid: ProcessID, _ status: ExitStatus) -> Bool {
        guard status.raw & 0x7f == Signal.kill.number, let id = conductor.service(of: pid) else {
            return false
        }
        // Its own group knows best, if memory is counted there.
        let isSomebody = memoryKills?.claim() ?? false
        return performer.service(id)?.extras?.group?.hasRunOutOfMemory() ?? isSomebody
    }

    func takeWord(_ token: UInt64) {
        guard let (id, part) = Token.parts(of: token) else { return }
        switch part {
        case .control: readCommands(id)
        case .pipe: readPipe(id)
        case .socket: readNotices(id)
        case .listener:
            ignoreConnections(to: id)
            take(.connected(id))
        case .process: takeEndOfStranger(id)
        }
    }

    /// Takes the commands that have come for a service; a flood of them is taken in several turns.
    func readCommands(_ id: ServiceID) {
        guard let service = performer.service(id), let control = service.control else { return }
        do throws(SystemError) {
            takeCommands(id, try readLetters(control, Token.of(id, .control)))
        } catch {
            if error.errno != .again { stopListening(to: service, control, error) }
        }
    }

    func takeCommands(
        _ id: ServiceID, _ letters: CarriedTable.Letters, from first: Int = 0
    ) {
        guard let service = performer.service(id) else { return }
        for order in Order.all(in: letters.bytes)
        where order.place >= first && performer.service(id) === service {
            guard let id = order.isForLogger ? conductor.logger(of: id) : id else { continue }
            let command = order.command
            take(
                order.isForGroup ? .groupCommanded(id, command) : .commanded(id, command),
                from: letters.origin(order.place))
        }
    }

    /// A control FIFO that cannot be read would be ready for ever.
    func stopListening(to service: OpenService, _ control: Int32, _ error: SystemError) {
        messages.warning("unable to read \(service.name)/supervise/control", error.errno)
        do throws(SystemError) { try loop.remove(control) } catch {
            messages.warning("unable to leave \(service.name)/supervise/control", error.errno)
        }
    }
}
