import Bytes
import Commands
import Formats
import Linux
import Services

/// Supervises services in one event loop: one process for all of them. It reads the control FIFOs,
/// reaps every child of this process, and hands what does not concern services back to its caller.
///
/// The way of an event: the kernel makes a descriptor readable → `turn` finds the service it belongs
/// to → its `ServiceMachine` says what is to be done → `Supervisor+Effects` does it.
public final class Supervisor {
    /// What differs between the programs that supervise.
    public struct Configuration: Sendable {
        /// Whether each service leads a session of its own. daemontools leaves it in the caller's.
        public var newSession: Bool
        /// The environment of the services.
        public var environment: Environment
        /// The signals to take instead of suffering them. SIGCHLD is always one.
        public var signals: SignalSet

        /// Every signal but those that tell of a fault of this process.
        public static let allSignals = SignalSet.all.subtracting(.faults)

        /// Services in the caller's session, with its environment.
        public init(
            newSession: Bool = false, environment: Environment = .inherited,
            signals: SignalSet = allSignals
        ) {
            self.newSession = newSession
            self.environment = environment
            self.signals = signals
        }
    }

    /// What a turn found that is not about services.
    public enum Notice {
        /// A signal other than SIGCHLD came.
        case signal(Signal)
        /// A child that is no service's process ended and was reaped.
        case orphan(ProcessID, ExitStatus)
        /// The last child was reaped; this process has none now.
        case noChildren
    }

    let configuration: Configuration
    let messages: Messages
    let run: PreparedInvocation
    var loop: EventLoop
    private let signals: SignalDescriptor
    /// A descriptor above all that were inherited and below all that services have; nil where there cannot be one.
    private let lender: Descriptor?
    /// What the limit on descriptors was before it was raised; nil when it was not.
    let inheritedLimit: (soft: UInt64, hard: UInt64)?
    /// Descriptors from this number on are kept free for the supervisor's own work.
    let descriptorReserve: Int32

    /// The services by slot, which is also the event loop's token; free slots are nil.
    var services: [Service?] = []
    var freeSlots: [Int] = []
    /// The services that have a process, by it.
    var processes: [ProcessID: Service] = [:]
    /// The services that wait for a time, in no order.
    var waiting: [Service] = []
    /// What the service machine asked for last; kept for its room.
    var effects: [ServiceMachine.Effect] = []
    /// Whether this process has children, as far as it knows: true until a wait finds none.
    public internal(set) var hasChildren = true
    /// Whether services are only stopped now.
    var isStopping = false

    /// The scan directory and what is known of it.
    var scanner: Scanner?

    private var ready: [EventLoop.Event] = []
    /// True at first: what this process was before an exec may have left children behind.
    private var mayHaveDead = true

    /// Blocks the signals it is going to read and raises the limit on descriptors to what the
    /// kernel allows; children get both back as they were. Supervises nothing yet.
    public init(_ configuration: Configuration, messages: Messages) throws(SystemError) {
        // First of all: before, a signal to process 1 is lost, and one to another process fatal.
        let taken = configuration.signals.union(SignalSet(.child))
        _ = try taken.block()
        self.configuration = configuration
        self.messages = messages.nonBlocking
        run = PreparedInvocation(
            Invocation("./run", arguments: ["./run"], environment: configuration.environment))
        Supervisor.openStandardDescriptors(messages)
        do throws(SystemError) { lender = try descriptorAboveAll() } catch { lender = nil }
        // Where SIGCHLD is ignored, the kernel reaps children itself and tells nobody.
        try setDisposition(.child, ignored: false)
        signals = try SignalDescriptor(taken)
        let limit = try CurrentProcess.raiseDescriptorLimit()
        inheritedLimit = limit.soft < limit.hard ? limit : nil
        let room = Int32(clamping: limit.hard)
        descriptorReserve = room - min(32, room / 4)
        loop = try EventLoop()
        try loop.add(signals.descriptor.number, token: Token.signals)
    }

    /// Else a lock file might become standard error, and be written to.
    private static func openStandardDescriptors(_ messages: Messages) {
        for descriptor in Standard.input...Standard.error {
            do throws(SystemError) { try ensureOpen(descriptor) } catch {
                messages.warning("unable to open descriptor \(descriptor)", error.errno)
            }
        }
    }

    /// The number of that descriptor.
    var lenderNumber: Int32? {
        switch lender {
        case .some(let lender): lender.number
        case .none: nil
        }
    }

    /// How many services that are no loggers have a process.
    public var runningServices: Int { processes.values.count { !$0.isLogger } }

    /// How many loggers have a process.
    public var runningLoggers: Int { processes.values.count { $0.isLogger } }

    /// The processes of the loggers.
    public var loggerProcesses: [ProcessID] {
        processes.filter { $0.value.isLogger }.map { $0.key }
    }

    /// What is supervised now, to go through while services come and go.
    var supervised: [Service] { services.compactMap { $0 } }

    /// Whether nothing is supervised any more.
    public var isEmpty: Bool { services.count == freeSlots.count }

    /// One turn: waits until something happens or `deadline` passes, for ever without one, does all
    /// that concerns services, and returns what does not.
    public func turn(until deadline: Instant?) throws(SystemError) -> [Notice] {
        var notices: [Notice] = []
        try loop.wait(until: mayHaveDead ? .now : firstDeadline(deadline), &ready)
        var mustLook = false
        for event in ready {
            switch event.token {
            case Token.signals: try takeSignals(&notices)
            case Token.watch: mustLook = true
            default: readCommands(Int(event.token))
            }
        }
        if mayHaveDead { try reapSome(&notices) }
        startWaiting()
        if mustLook || scanner?.isDue(at: .now) == true { look() }
        return notices
    }

    /// The tokens of what is not a service; those of services are their slots.
    enum Token {
        static let signals = UInt64.max
        static let watch = UInt64.max - 1
    }

    private func firstDeadline(_ deadline: Instant?) -> Instant? {
        var first = deadline
        func consider(_ other: Instant?) {
            guard let other else { return }
            if let known = first, known <= other { return }
            first = other
        }
        consider(scanner?.due)
        for service in waiting {
            consider(service.machine.deadline.map { Instant(nanoseconds: $0) })
        }
        return first
    }

    /// Makes the next turn look for children, as if one had ended.
    func expectChildren() {
        hasChildren = true
        mayHaveDead = true
    }

    private func takeSignals(_ notices: inout [Notice]) throws(SystemError) {
        while let signal = try signals.next() {
            if signal == .child { mayHaveDead = true } else { notices.append(.signal(signal)) }
        }
    }

    /// Reaps what has ended, but not so much at once that services wait for long.
    private func reapSome(_ notices: inout [Notice]) throws(SystemError) {
        for _ in 0..<256 {
            switch try reap() {
            case .ended(let pid, let status):
                if let service = processes.removeValue(forKey: pid) {
                    handle(.ended, service)
                } else {
                    notices.append(.orphan(pid, status))
                }
            case .resumed: break
            case .nothingYet:
                mayHaveDead = false
                return
            case .noChildren:
                mayHaveDead = false
                hasChildren = false
                notices.append(.noChildren)
                return
            }
        }
    }

    /// Takes the commands that have come for a service; a flood of them is taken in several turns.
    private func readCommands(_ slot: Int) {
        guard let service = services[slot], let control = service.directory.control else { return }
        withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { buffer in
            let count: Int
            do throws(SystemError) { count = try read(control, into: buffer) } catch {
                if error.errno != .again { stopListening(to: service, error) }
                return
            }
            for letter in buffer[..<count] where service.slot == slot {
                if let command = Command(rawValue: letter) { handle(.command(command), service) }
            }
        }
    }

    /// A control FIFO that cannot be read would be ready for ever.
    private func stopListening(to service: Service, _ error: SystemError) {
        messages.warning("unable to read \(service.name)/supervise/control", error.errno)
        guard let control = service.directory.control else { return }
        do throws(SystemError) { try loop.remove(control) } catch {
            messages.warning("unable to leave \(service.name)/supervise/control", error.errno)
        }
    }

    /// Starts what has waited long enough. What must wait again adds itself behind.
    private func startWaiting() {
        if waiting.isEmpty { return }
        let now = Instant.now.nanoseconds
        let count = waiting.count
        var kept = 0
        for index in 0..<count {
            let service = waiting[index]
            if let deadline = service.machine.deadline, deadline > now {
                waiting[kept] = service
                kept += 1
                continue
            }
            service.isWaiting = false
            handle(.deadline, service)
        }
        waiting.removeSubrange(kept..<count)
    }
}
