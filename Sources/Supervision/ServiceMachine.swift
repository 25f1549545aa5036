import Bytes
import Services

/// What one service is and does next, without a system call: events go in, effects come out.
///
///     state        pid   isStartDue   leaves it by
///     down         0     no           a command that wants it up
///     waiting      0     yes          its time, `d`, `x`
///     up           > 0   no           its process ending
///     over         0     no           nothing
///
/// It holds that
/// - there is at most one process, and none is started while there is one;
/// - from one start to the next at least a second passes, however short the process lived, while
///   commands and deaths are taken at once: nothing ever sleeps;
/// - after `d` nothing is started until `u` or `o`;
/// - supervision is over only when it was asked to be and there is no process.
///
/// The caller performs the effects in order, and answers `start` with `started` or `startFailed`
/// before any other event. Times are nanoseconds of a clock that never goes back.
struct ServiceMachine {
    /// The least time from one start to the next.
    static let interval: UInt64 = 1_000_000_000
    /// How often the wait after the kernel refused a process doubles, from `interval`: up to 32 s.
    static let mostDoublings: UInt8 = 5

    /// What happens to a service.
    enum Event: Equatable {
        /// Its supervision begins.
        case begin
        /// A byte came through its control FIFO.
        case command(Command)
        /// The effect `start` made this process.
        case started(pid: Int32)
        /// The effect `start` made none: the kernel refused a process, or would not run the file.
        case startFailed(isRefusal: Bool)
        /// Its process ended.
        case ended
        /// The time given by `deadline` has come.
        case deadline
    }

    /// What is to be done.
    enum Effect: Equatable {
        /// Start a process.
        case start
        /// Send a signal to the process.
        case signal(ServiceSignal)
        /// Write the status file.
        case writeStatus
        /// Forget the service.
        case end
    }

    /// What is wanted in the long run.
    enum Wish: UInt8, CaseIterable {
        /// Up, and started anew when it ends.
        case up
        /// Down.
        case down
        /// Nothing: it was to run once.
        case none
    }

    /// The process; 0 when there is none.
    private(set) var pid: Int32 = 0
    /// What was last asked for.
    private(set) var wish: Wish
    /// Whether the process was last told to stop, not to continue.
    private(set) var isPaused = false
    /// Whether supervision is to end with the process.
    private(set) var isLeaving = false
    /// Whether supervision has ended.
    private(set) var isOver = false
    /// Whether a start waits for its time.
    private(set) var isStartDue = false
    private var refusals: UInt8 = 0
    private var earliestStart: UInt64 = 0

    /// A service that is to be up, or down if it has a file `down`.
    init(isDown: Bool) { wish = isDown ? .down : .up }

    /// When to send the event `deadline`.
    var deadline: UInt64? { isStartDue ? earliestStart : nil }

    /// Takes an event and adds what is to be done to `effects`.
    mutating func handle(_ event: Event, at now: UInt64, _ effects: inout [Effect]) {
        if isOver { return }
        switch event {
        case .begin:
            effects.append(.writeStatus)
            if wish == .up { wantStart(at: now, &effects) }
        case .command(let command): obey(command, at: now, &effects)
        case .started(let pid): noteStart(pid, at: now, &effects)
        case .startFailed(let isRefusal): noteFailure(isRefusal, at: now, &effects)
        case .ended:
            if pid == 0 { return }
            pid = 0
            effects.append(.writeStatus)
            settle(at: now, &effects)
        case .deadline: startIfTime(at: now, &effects)
        }
    }

    private mutating func obey(_ command: Command, at now: UInt64, _ effects: inout [Effect]) {
        switch command {
        case .up:
            wish = .up
            effects.append(.writeStatus)
            wantStart(at: now, &effects)
        case .once:
            wish = .none
            effects.append(.writeStatus)
            wantStart(at: now, &effects)
        case .down:
            wish = .down
            isStartDue = false
            isPaused = false
            signal(.terminate, &effects)
            signal(.continue, &effects)
            effects.append(.writeStatus)
        case .exit:
            isLeaving = true
            if pid == 0 { end(&effects) }
        case .pause: setPaused(true, .stop, &effects)
        case .continue: setPaused(false, .continue, &effects)
        case .hangup: signal(.hangup, &effects)
        case .alarm: signal(.alarm, &effects)
        case .interrupt: signal(.interrupt, &effects)
        case .terminate: signal(.terminate, &effects)
        case .kill: signal(.kill, &effects)
        case .quit: signal(.quit, &effects)
        case .user1: signal(.user1, &effects)
        case .user2: signal(.user2, &effects)
        case .windowChange: signal(.windowChange, &effects)
        }
    }

    private func signal(_ signal: ServiceSignal, _ effects: inout [Effect]) {
        if pid != 0 { effects.append(.signal(signal)) }
    }

    private mutating func setPaused(
        _ paused: Bool, _ signal: ServiceSignal, _ effects: inout [Effect]
    ) {
        isPaused = paused && pid != 0
        effects.append(.writeStatus)
        self.signal(signal, &effects)
    }

    private mutating func noteStart(_ pid: Int32, at now: UInt64, _ effects: inout [Effect]) {
        self.pid = pid
        refusals = 0
        earliestStart = now + ServiceMachine.interval
        effects.append(.writeStatus)
    }

    /// A file that cannot be run is like a process that ended at once; a process that was refused
    /// is still owed, but not so soon, since the machine is short of something.
    private mutating func noteFailure(
        _ isRefusal: Bool, at now: UInt64, _ effects: inout [Effect]
    ) {
        var wait = ServiceMachine.interval
        if isRefusal {
            wait <<= UInt64(refusals)
            refusals = min(refusals + 1, ServiceMachine.mostDoublings)
            isStartDue = true
        } else {
            refusals = 0
        }
        earliestStart = now + wait
        settle(at: now, &effects)
    }

    /// There is no process any more: ends, or starts anew, as was asked for.
    private mutating func settle(at now: UInt64, _ effects: inout [Effect]) {
        isPaused = false
        if isLeaving {
            end(&effects)
        } else if wish == .up {
            wantStart(at: now, &effects)
        }
    }

    private mutating func wantStart(at now: UInt64, _ effects: inout [Effect]) {
        if pid != 0 { return }
        isStartDue = true
        startIfTime(at: now, &effects)
    }

    private mutating func startIfTime(at now: UInt64, _ effects: inout [Effect]) {
        guard isStartDue, now >= earliestStart else { return }
        isStartDue = false
        effects.append(.start)
    }

    private mutating func end(_ effects: inout [Effect]) {
        isStartDue = false
        isOver = true
        effects.append(.end)
    }
}

/// The signals a service is sent.
enum ServiceSignal: CaseIterable {
    case hangup, interrupt, quit, kill, user1, user2, alarm, terminate, `continue`, stop
    case windowChange
}
