import Bytes
import Commands
import Formats
import Linux
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

    private let configuration: Configuration
    /// Where it speaks to people, without ever waiting.
    public let messages: Messages
    private let performer: Performer
    private var conductor: Conductor
    private var loop: EventLoop
    private let signals: SignalDescriptor
    private var ready: [EventLoop.Event] = []
    private var isWatchMuted = false
    /// Processes that services named as their main ones, but that are still somebody else's children.
    private var heirs: [ServiceID: ProcessID] = [:]
    private var end: End?
    /// True at first: what this process was before an exec may have left children behind.
    private var mayHaveDead = true

    /// What may be done in one turn, so that nobody waits for long.
    private enum Bound {
        static let signals = 64
        static let deaths = 256
        static let commands = 64
    }

    /// The tokens of what is not a service; those of services are their numbers.
    private enum Token {
        static let signals = UInt64.max
        static let watch = UInt64.max - 1
        static let scanControl = UInt64.max - 2

        /// What of a service is meant.
        enum Part: UInt64 { case control, pipe, socket, listener }

        static func of(_ id: ServiceID, _ part: Part) -> UInt64 {
            UInt64(id.index) | part.rawValue << 32
        }

        static func parts(of token: UInt64) -> (ServiceID, Part)? {
            Part(rawValue: token >> 32).map { (ServiceID(Int(token & 0xffff_ffff)), $0) }
        }
    }

    /// Blocks the signals it is going to read and raises the limit on descriptors to what the kernel allows; children
    /// get both back as they were. Supervises nothing yet.
    public init(_ configuration: Configuration, messages: Messages) throws(SystemError) {
        // First of all: before, a signal to process 1 is lost, and one to another process fatal.
        let taken = configuration.signals.union(SignalSet(.child))
        _ = try taken.block()
        self.configuration = configuration
        openStandardDescriptors(messages)
        self.messages = messages.nonBlocking
        // Where SIGCHLD is ignored, the kernel reaps children itself and tells nobody.
        try setDisposition(.child, ignored: false)
        signals = try SignalDescriptor(taken)
        let limit = try CurrentProcess.raiseDescriptorLimit()
        loop = try EventLoop()
        try loop.add(signals.descriptor.number, token: Token.signals)
        performer = try Performer(configuration, messages: self.messages, descriptorLimit: limit)
        if let watch = performer.scan?.watchNumber { try loop.add(watch, token: Token.watch) }
        var parts = configuration.conductor
        parts.hasScanDirectory = configuration.scanDirectory != nil
        parts.command = configuration.command?.program
        conductor = Conductor(parts)
    }

    /// Supervises until there is nothing more to do. Throws when waiting is not possible any more; everything that was
    /// started goes on then.
    public func run() throws(SystemError) -> End {
        take(.began)
        while true {
            if let end { return end }
            try turn()
        }
    }

    /// Waits until something happens or is due, and does all that follows from it.
    private func turn() throws(SystemError) {
        let deadline = conductor.deadline.map { Instant(nanoseconds: $0) }
        let wake = performer.prober.deadline.map { min($0, deadline ?? $0) } ?? deadline
        try loop.wait(until: mayHaveDead ? .now : wake, &ready)
        for event in ready {
            switch event.token {
            case Token.signals: try takeSignals()
            case Token.watch: noteChanges()
            case Token.scanControl: readScanCommands()
            default: takeWord(event.token)
            }
        }
        if mayHaveDead { try reapSome() }
        if let deadline, deadline <= .now { take(.timePassed) }
        probe()
    }

    /// Hands an event to the conductor, and what comes of its actions after it.
    private func take(_ event: Event) {
        var events = [event]
        while !events.isEmpty {
            var outcomes: [Event] = []
            for event in events {
                for action in conductor.handle(event, at: moment) {
                    if let outcome = perform(action) { outcomes.append(outcome) }
                }
            }
            events = outcomes
        }
    }

    /// Asks services whether they are ready, as long as nobody knows it.
    private func probe() {
        for id in performer.prober.services where conductor.isReady(id) { performer.prober.end(id) }
        for id in performer.prober.poll() { take(.ready(id)) }
    }

    private var moment: Moment {
        let (seconds, nanoseconds) = wallClock()
        return Moment(
            nanoseconds: Instant.now.nanoseconds,
            timeOfDay: TAI64N(unixSeconds: seconds, nanoseconds: nanoseconds))
    }

    private func perform(_ action: Action) -> Event? {
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
            return outcome
        default: return performer.perform(action)
        }
        return nil
    }

    /// Waits for commands of a service that has been opened; returns an event only when that fails.
    private func listen(to id: ServiceID, _ name: ByteString) -> Event? {
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

    private func takeSignals() throws(SystemError) {
        for _ in 0..<Bound.signals {
            guard let signal = try signals.next() else { return }
            if signal == .child {
                mayHaveDead = true
            } else {
                for event in configuration.meaning(signal) { take(event) }
            }
        }
    }

    /// While a change waits for the next listing, further ones wake nobody.
    private func noteChanges() {
        guard performer.scan?.drain() == true else { return }
        setWatch(muted: true)
        take(.directoryChanged)
    }

    /// Waits for svscanctl, once there is what it writes to.
    private func listenToScanControl() {
        guard let number = performer.scan?.newControlNumber else { return }
        do throws(SystemError) { try loop.add(number, token: Token.scanControl) } catch {
            messages.warning("unable to watch for commands of svscanctl", error.errno)
        }
    }

    private func readScanCommands() {
        for command in performer.scan?.takeCommands() ?? [] {
            switch command {
            case .rescan: take(.rescanAsked)
            case .stop: take(.stopAsked(.exit, signal: .terminate))
            }
        }
    }

    private func setWatch(muted: Bool) {
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
    private func reapSome() throws(SystemError) {
        for _ in 0..<Bound.deaths {
            switch try reap() {
            case .ended(let pid, let status):
                let error = performer.startError(of: pid)
                if let id = performer.prober.noteDeath(of: pid, status.raw) { take(.ready(id)) }
                installHeir(of: pid)
                let ranOutOfMemory = hasRunOutOfMemory(pid, status)
                take(
                    .died(
                        pid: pid,
                        Death(
                            status: status.raw, startError: error, ranOutOfMemory: ranOutOfMemory)))
            case .resumed: break
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
    private func hasRunOutOfMemory(_ pid: ProcessID, _ status: ExitStatus) -> Bool {
        guard status.raw & 0x7f == Signal.kill.number, let id = conductor.service(of: pid) else {
            return false
        }
        return performer.service(id)?.extras?.group?.hasRunOutOfMemory() ?? false
    }

    private func takeWord(_ token: UInt64) {
        guard let (id, part) = Token.parts(of: token) else { return }
        switch part {
        case .control: readCommands(id)
        case .pipe: readPipe(id)
        case .socket: readNotices(id)
        case .listener:
            ignoreConnections(to: id)
            take(.connected(id))
        }
    }

    /// Takes the commands that have come for a service; a flood of them is taken in several turns.
    private func readCommands(_ id: ServiceID) {
        guard let service = performer.service(id), let control = service.control else { return }
        withUnsafeTemporaryAllocation(byteCount: Bound.commands, alignment: 1) { buffer in
            let count: Int
            do throws(SystemError) { count = try read(control, into: buffer) } catch {
                if error.errno != .again { stopListening(to: service, control, error) }
                return
            }
            for letter in buffer[..<count] where performer.service(id) === service {
                if let command = Command(rawValue: letter) { take(.commanded(id, command)) }
            }
        }
    }

    /// A control FIFO that cannot be read would be ready for ever.
    private func stopListening(to service: OpenService, _ control: Int32, _ error: SystemError) {
        messages.warning("unable to read \(service.name)/supervise/control", error.errno)
        do throws(SystemError) { try loop.remove(control) } catch {
            messages.warning("unable to leave \(service.name)/supervise/control", error.errno)
        }
    }
}

// MARK: - What services say of themselves

extension Supervisor {
    /// Waits for what a service that has been started tells through its pipe or socket.
    private func listenToNotices(of id: ServiceID) {
        guard let service = performer.service(id) else { return }
        for (number, part) in service.extras?.notification.newNumbers ?? [] {
            do throws(SystemError) {
                try loop.add(number, token: Token.of(id, part == .pipe ? .pipe : .socket))
            } catch {
                messages.warning(
                    "unable to watch for the readiness of \(service.name)", error.errno)
            }
        }
    }

    /// Waits for the first to connect to a service that has no process; returns an event when that cannot be.
    private func listenForConnections(to id: ServiceID) -> Event? {
        guard let service = performer.service(id) else { return nil }
        let numbers = service.openSockets()
        if numbers.isEmpty { return .connected(id) }
        // A stop may have left them in the loop.
        ignoreConnections(to: id)
        for number in numbers {
            do throws(SystemError) {
                try loop.add(number, token: Token.of(id, .listener))
            } catch { return .connected(id) }
        }
        return nil
    }

    /// The sockets are the service's from now on: they would wake this process again and again.
    private func ignoreConnections(to id: ServiceID) {
        for number in performer.service(id)?.extras?.held.socketNumbers ?? [] {
            do throws(SystemError) { try loop.remove(number) } catch {
                // It was not in the loop.
            }
        }
    }

    private func readPipe(_ id: ServiceID) {
        guard let channel = performer.service(id)?.extras?.notification else { return }
        switch channel.readPipe() {
        case .nothing: return
        case .end: channel.closeReader()
        case .ready:
            channel.closeReader()
            take(.ready(id))
        }
    }

    private func readNotices(_ id: ServiceID) {
        guard let extras = performer.service(id)?.extras else { return }
        // Of many lines only the last one is of any use.
        var text: ByteString?
        extras.notification.receive { message, sender, descriptors in
            guard conductor.isProcess(sender.process, of: id) || isTrusted(sender, id) else {
                return
            }
            keep(&descriptors, message, id, extras.held)
            if let status = message.status { text = status.visible }
            let events = events(of: message, from: id, sender)
            if events.isEmpty { return }
            if let said = text { take(.said(id, .status(said))) }
            text = nil
            for event in events { take(event) }
        }
        if let text { take(.said(id, .status(text))) }
    }

    /// Lets the process that a service named go on in the place of the one that ends. It has to be a child of this
    /// process by now, so that its end is seen: the parent that it had is gone.
    private func installHeir(of pid: ProcessID) {
        guard let id = conductor.service(of: pid), let heir = heirs.removeValue(forKey: id),
            ProcessTable.parent(of: heir) == CurrentProcess.id
        else { return }
        take(.said(id, .mainProcess(heir)))
    }

    /// Keeps the descriptors that a service leaves for its next start.
    private func keep(
        _ descriptors: inout ReceivedDescriptors, _ message: NotifyMessage, _ id: ServiceID,
        _ held: HeldDescriptors
    ) {
        let name = message.descriptorName ?? "stored"
        if message.removesDescriptors { held.remove(name) }
        guard message.storesDescriptors else { return }
        while let descriptor = descriptors.takeFirst() {
            held.store(descriptor, name, limit: conductor.storeLimit(of: id))
        }
    }

    /// Whether a process that is not the service's own may speak for it: one that descends from it.
    private func isTrusted(_ sender: PeerCredentials, _ id: ServiceID) -> Bool {
        let pid = conductor.process(of: id)
        return pid != 0 && ProcessTable.isDescendant(sender.process, of: pid)
    }

    private func events(of message: NotifyMessage, from id: ServiceID, _ sender: PeerCredentials)
        -> [Event]
    {
        if message.isBarrier { return [] }
        var events: [Event] = []
        if let pid = message.mainPID, ProcessTable.isDescendant(pid, of: conductor.process(of: id))
        {
            heirs[id] = pid
        }
        if let period = message.watchdogInterval {
            events.append(.said(id, .watchdogPeriod(period)))
        }
        if let time = message.timeExtension { events.append(.said(id, .extended(time))) }
        if message.isReloading { events.append(.said(id, .reloading)) }
        if message.isReady { events.append(.ready(id)) }
        if message.isStopping { events.append(.said(id, .stopping)) }
        switch message.watchdog {
        case .ping: events.append(.said(id, .pinged))
        case .trigger: events.append(.said(id, .troubled))
        case nil: break
        }
        return events
    }
}
