/// What one service is and does next, without a system call: events go in, effects come out.
///
/// It holds that
/// - there is at most one process, and none is started while there is one;
/// - from one start to the next at least a second passes, however short the process lived, while
///   commands and deaths are taken at once: nothing ever sleeps;
/// - after `d` nothing is started until `u` or `o`;
/// - supervision is over only when it was asked to be and there is no process.
///
/// The caller performs the effects in order, and answers `start` with `started` or one of the failures
/// before time passes. Times are nanoseconds of a clock that never goes back.
struct ServiceMachine: Equatable {
    /// The least time from one start to the next.
    static let interval: UInt64 = .seconds(1)
    /// How often the wait after the kernel refused a process doubles, from `interval`: up to 32 s.
    static let mostDoublings: UInt8 = 5
    /// The wait while too many children are on their way to become programs: short at first, since most programs
    /// are found at once, and long when a file system holds them up.
    static let congestion: UInt64 = .milliseconds(2)
    static let longCongestion: UInt64 = .milliseconds(100)
    static let mostShortWaits: UInt8 = 50

    /// What it is.
    enum State: Equatable {
        /// Without a process, and none is due.
        case down
        /// Without a process; one is to be started at `until`.
        case waiting(until: UInt64)
        /// The effect `start` has been given out, and its outcome is not known.
        case starting
        /// It has a process.
        case up(pid: Int32)
        /// It is supervised no more.
        case over
    }

    /// What happens to it.
    enum Event: Equatable {
        /// Its supervision begins.
        case begin
        /// A byte came through its control FIFO.
        case command(Command)
        /// The effect `start` made this process.
        case started(pid: Int32)
        /// The kernel refused a process.
        case refused
        /// Too many children are on their way at this moment.
        case congested
        /// Something has to be looked at first; the start is to be asked for again.
        case postponed
        /// Its process ended.
        case ended
        /// The time of `deadline` has come.
        case deadline
    }

    /// What is to be done.
    enum Effect: Equatable {
        /// Start a process.
        case start
        /// Send a signal to the process.
        case signal(pid: Int32, ServiceSignal)
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

    /// What it is.
    private(set) var state: State = .down
    /// What was last asked for.
    private(set) var wish: Wish
    /// Whether the process was last told to stop, not to continue.
    private(set) var isPaused = false
    /// Whether supervision is to end with the process.
    private(set) var isLeaving = false
    private var refusals: UInt8 = 0
    private var congestions: UInt8 = 0
    private var earliestStart: UInt64 = 0

    /// A service that is to be up, or down, or to run once.
    init(wish: Wish) { self.wish = wish }

    /// The process; 0 when there is none.
    var pid: Int32 { if case .up(let pid) = state { pid } else { 0 } }

    /// When to send the event `deadline`.
    var deadline: UInt64? { if case .waiting(let time) = state { time } else { nil } }

    /// Whether it is going to get a process, or to be refused one.
    var isStartDue: Bool {
        switch state {
        case .waiting, .starting: true
        case .down, .up, .over: false
        }
    }

    /// Whether supervision has ended.
    var isOver: Bool { state == .over }

    /// Takes an event; returns what is to be done, in order.
    mutating func handle(_ event: Event, at now: UInt64) -> [Effect] {
        switch (state, event) {
        case (.over, _): return []
        case (.down, .begin): return wish == .down ? [.writeStatus] : start(at: now)
        case (_, .begin): return []

        case (.starting, .started(let pid)): return noteStart(of: pid, at: now)
        case (.starting, .refused): return noteRefusal(at: now)
        case (.starting, .congested): return noteCongestion(at: now)
        case (.starting, .postponed): return retry(at: now)
        case (_, .started), (_, .refused), (_, .congested), (_, .postponed): return []

        case (.up, .ended): return noteEnd(at: now)
        case (_, .ended): return []

        case (.waiting(let time), .deadline): return time <= now ? start(at: now) : []
        case (_, .deadline): return []

        case (_, .command(let command)): return obey(command, at: now)
        }
    }

    private mutating func obey(_ command: Command, at now: UInt64) -> [Effect] {
        switch command {
        case .up:
            wish = .up
            return startOrWait(at: now)
        case .once:
            wish = .none
            return startOrWait(at: now)
        case .down: return goDown()
        case .exit:
            isLeaving = true
            return pid == 0 && state != .starting ? end() : []
        case .pause: return setPaused(true, .stop)
        case .continue: return setPaused(false, .continue)
        default: return command.signal.map { signal($0) } ?? []
        }
    }

    private mutating func goDown() -> [Effect] {
        wish = .down
        isPaused = false
        if case .waiting = state { state = .down }
        return signal(.terminate) + signal(.continue) + [.writeStatus]
    }

    private func signal(_ signal: ServiceSignal) -> [Effect] {
        pid == 0 ? [] : [.signal(pid: pid, signal)]
    }

    /// The status comes first, since the signal is seen in the process.
    private mutating func setPaused(_ paused: Bool, _ signal: ServiceSignal) -> [Effect] {
        isPaused = paused && pid != 0
        return [.writeStatus] + self.signal(signal)
    }

    private mutating func startOrWait(at now: UInt64) -> [Effect] {
        switch state {
        case .down: [.writeStatus] + start(at: now)
        case .waiting, .starting, .up, .over: [.writeStatus]
        }
    }

    /// Starts now, or when the second since the last start is over.
    private mutating func start(at now: UInt64) -> [Effect] {
        if now < earliestStart {
            state = .waiting(until: earliestStart)
            return [.writeStatus]
        }
        state = .starting
        return [.start]
    }

    /// Asks for the start again a little later. The status file may still name the process before.
    private mutating func retry(at time: UInt64) -> [Effect] {
        if isLeaving { return end() }
        state = wish == .down ? .down : .waiting(until: time)
        return [.writeStatus]
    }

    private mutating func noteCongestion(at now: UInt64) -> [Effect] {
        if congestions == ServiceMachine.mostShortWaits {
            return retry(at: now + ServiceMachine.longCongestion)
        }
        congestions += 1
        return retry(at: now + ServiceMachine.congestion)
    }

    private mutating func noteStart(of pid: Int32, at now: UInt64) -> [Effect] {
        state = .up(pid: pid)
        refusals = 0
        congestions = 0
        earliestStart = now + ServiceMachine.interval
        // It was told to go down while it was on its way.
        return wish == .down ? goDown() : [.writeStatus]
    }

    /// A process that was refused is still owed, but not so soon: the machine is short of something.
    private mutating func noteRefusal(at now: UInt64) -> [Effect] {
        if isLeaving { return end() }
        earliestStart = now + ServiceMachine.interval << UInt64(refusals)
        refusals = min(refusals + 1, ServiceMachine.mostDoublings)
        if wish == .down {
            state = .down
            return [.writeStatus]
        }
        return start(at: now)
    }

    private mutating func noteEnd(at now: UInt64) -> [Effect] {
        state = .down
        isPaused = false
        if isLeaving { return end() }
        return wish == .up ? start(at: now) : [.writeStatus]
    }

    private mutating func end() -> [Effect] {
        state = .over
        return [.writeStatus, .end]
    }
}

extension ServiceMachine {
    func write(to writer: inout SnapshotWriter) {
        switch state {
        case .down: writer.write(UInt8(0))
        case .waiting(let time):
            writer.write(UInt8(1))
            writer.write(time)
        case .starting: writer.write(UInt8(2))
        case .up(let pid):
            writer.write(UInt8(3))
            writer.write(pid)
        case .over: writer.write(UInt8(4))
        }
        writer.write(wish.rawValue)
        writer.write(isPaused)
        writer.write(isLeaving)
        writer.write(refusals)
        writer.write(congestions)
        writer.write(earliestStart)
    }

    init(from reader: inout SnapshotReader) throws(SnapshotError) {
        switch try reader.number(UInt8.self) {
        case 0: state = .down
        case 1: state = .waiting(until: try reader.number())
        case 2: state = .starting
        case 3:
            let pid: Int32 = try reader.number()
            guard pid > 0 else { throw .damaged }
            state = .up(pid: pid)
        case 4: state = .over
        default: throw .damaged
        }
        guard let wish = Wish(rawValue: try reader.number()) else { throw .damaged }
        self.wish = wish
        isPaused = try reader.flag()
        isLeaving = try reader.flag()
        refusals = try reader.number()
        congestions = try reader.number()
        earliestStart = try reader.number()
    }
}
