import Formats

/// What one service is and does next, without a system call: events go in, effects come out.
///
/// It holds that
/// - there is at most one process, and none is started while there is one;
/// - from one start of `run` to the next at least a second passes, or what the definition says, however short the
///   process lived, while commands and deaths are taken at once: nothing ever sleeps;
/// - after `d` nothing is started until `u` or `o`, but what undoes the start;
/// - each death of `run` is followed by one `finish`, if there is one, before anything else is started;
/// - supervision is over only when it was asked to be and there is no process.
///
/// The caller performs the effects in order, and answers `start` with `started` or one of the failures
/// before time passes. Times are nanoseconds of a clock that never goes back.
struct ServiceMachine: Equatable {
    /// How often the wait after the kernel refused a process doubles, from a second: up to 32 s.
    static let mostDoublings: UInt8 = 5
    /// The wait while too many children are on their way to become programs: short at first, since most programs
    /// are found at once, and long when a file system holds them up.
    static let congestion: UInt64 = .milliseconds(2)
    static let longCongestion: UInt64 = .milliseconds(100)
    static let mostShortWaits: UInt8 = 50
    /// No delay between two starts is shorter, whatever a definition says: one that fails at once must not take all the
    /// time there is.
    static let shortestDelay: UInt64 = .milliseconds(10)
    /// How often KILL is repeated: s6's five seconds.
    static let killInterval: UInt64 = .seconds(5)

    /// What it is.
    enum State: Equatable {
        /// Without a process, and none is due.
        case down
        /// Without a process; one is to be started once what must come first is there.
        case blocked
        /// Without a process; one is to be started at `until`.
        case waiting(until: UInt64)
        /// The effect `start` has been given out, and its outcome is not known.
        case starting
        /// The service itself has a process: its `run`, or the `up` of a one-shot.
        case up(pid: Int32)
        /// Another of its programs has a process: what prepares, finishes or undoes.
        case busy(pid: Int32)
        /// Its work is done, and stays so without a process.
        case done
        /// It has failed, and is not started again by itself.
        case failed
        /// It is supervised no more.
        case over
    }

    /// What happens to it.
    enum Event: Equatable {
        /// Its supervision begins.
        case begin
        /// A byte came through its control FIFO.
        case command(Command)
        /// What must come first is there.
        case released
        /// The effect `start` made this process.
        case started(pid: Int32)
        /// The kernel refused a process.
        case refused
        /// Too many children are on their way at this moment.
        case congested
        /// Something has to be looked at first; the start is to be asked for again.
        case postponed
        /// It says, or was found, to be ready.
        case ready
        /// It says that it is reading its configuration again; it will say that it is ready.
        case reloading
        /// It says that it is ending.
        case stopping
        /// It still lives.
        case pinged
        /// It wants to be ended as if it did not.
        case troubled
        /// Its failures so far are to be forgotten.
        case forgiven
        /// It asks for more time for what it is doing, in nanoseconds from now.
        case extended(UInt64)
        /// Another process goes on in its place.
        case moved(pid: Int32)
        /// What it needs was restarted, so it is to be too.
        case restart
        /// Its process ended.
        case ended(Death)
        /// The time of `deadline` has come.
        case deadline
    }

    /// What is to be done.
    enum Effect: Equatable {
        /// Start a program.
        case start(ProgramRole)
        /// Send a signal to the process, or to what belongs to it.
        case signal(pid: Int32, ServiceSignal, ServiceDefinition.Reach = .process)
        /// Kill what the process, which has ended, left behind.
        case killRest(pid: Int32)
        /// Write the status file.
        case writeStatus
        /// Tell people what became of it.
        case report(ServiceReport)
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
    var state: State = .down
    /// What was last asked for.
    var wish: Wish
    /// Which of its programs has a process, or is the next to get one.
    var role = ProgramRole.run
    /// Whether the process was last told to stop, not to continue.
    var isPaused = false
    /// Whether supervision is to end with the process.
    var isLeaving = false
    /// Whether something may have to come first, so that the start waits for `released`.
    var isOrdered = false
    /// Whether it is ready.
    var isReady = false
    /// Whether its process was told to end.
    var isStopping = false
    /// Whether its process was killed for taking too long.
    var isKilled = false
    /// Whether somebody sent it a signal, so that its end is no surprise.
    var isExpected = false
    /// Whether it was told to end, so that its end says nothing of how it does.
    var wasStopped = false
    /// Whether it was sent TERM.
    var wasTerminated = false
    /// Whether its `start` has done its work.
    var isPrepared = false
    /// Whether `control/u` has been told of the start that is to come.
    var isAnnounced = false
    /// Whether there is something to undo once it is down: `run` was there after a `start`, or a one-shot is done.
    var mustUndo = false
    /// Whether it has failed for good, even while what it did is undone.
    var hasFailed = false
    /// Why its process was told to end though it should be up.
    var sentence: StatusDetails.Reason?
    /// Why it is down or has failed.
    var reason = StatusDetails.Reason.none
    /// How its last process ended, `finish` and the like not counted.
    var lastDeath: Death?
    /// How often it was started.
    var starts: UInt32 = 0
    var history = RestartHistory()
    /// When the process is killed, when it has to be ready, and when it has to have pinged.
    var killTime: UInt64?
    var readyTime: UInt64?
    var pingTime: UInt64?
    /// When `run` was last started, and when it ended.
    var startTime: UInt64 = 0
    var endTime: UInt64 = 0
    var earliestStart: UInt64 = 0
    var refusals: UInt8 = 0
    var congestions: UInt8 = 0

    /// A service that is to be up, or down, or to run once.
    init(wish: Wish) { self.wish = wish }

    /// The process; 0 when there is none.
    var pid: Int32 {
        switch state {
        case .up(let pid), .busy(let pid): pid
        default: 0
        }
    }

    /// When to send the event `deadline`.
    var deadline: UInt64? {
        if case .waiting(let time) = state { return time }
        if pid == 0 { return nil }
        return [killTime, readyTime, pingTime].reduce(nil) { first, time in
            guard let time else { return first }
            return min(first ?? time, time)
        }
    }

    /// Whether it is going to get a process, or to be refused one.
    var isStartDue: Bool {
        switch state {
        case .waiting, .starting, .blocked: true
        default: false
        }
    }

    /// Whether supervision has ended.
    var isOver: Bool { state == .over }

    /// Takes an event; returns what is to be done, in order.
    mutating func handle(
        _ event: Event, _ definition: ServiceDefinition = .plain, at now: UInt64
    ) -> [Effect] {
        switch (state, event) {
        case (.over, _): return []
        case (.down, .begin): return wish == .down ? [.writeStatus] : start(definition, at: now)
        case (_, .begin): return []
        case (.blocked, .released): return enter(definition, at: now)
        case (_, .released): return []

        case (.starting, .started(let pid)): return noteStart(of: pid, definition, at: now)
        case (.starting, .refused): return noteRefusal(definition, at: now)
        case (.starting, .congested): return noteCongestion(at: now)
        case (.starting, .postponed): return retry(at: now)
        case (_, .started), (_, .refused), (_, .congested), (_, .postponed): return []

        case (.up(let pid), .ended(let death)): return noteEnd(pid, death, definition, at: now)
        case (.busy, .ended(let death)): return noteEndOfHelper(death, definition, at: now)
        case (_, .ended): return []

        case (.waiting(let time), .deadline):
            return time <= now ? start(definition, at: now) : []
        case (.up, .deadline), (.busy, .deadline): return noteTime(definition, at: now)
        case (_, .deadline): return []

        case (_, .command(let command)): return obey(command, definition, at: now)
        case (.up, .restart): return stopProcess(definition, at: now)
        case (.up, let word): return hear(word, definition, at: now)
        case (_, _): return []
        }
    }

    // MARK: - Starting

    /// Starts what is next now, or when its time has come, or when what must come first is there.
    mutating func start(_ definition: ServiceDefinition, at now: UInt64) -> [Effect] {
        if role.isHelper { return enter(definition, at: now) }
        if now < earliestStart {
            state = .waiting(until: earliestStart)
            return [.writeStatus]
        }
        if isOrdered {
            state = .blocked
            return []
        }
        return enter(definition, at: now)
    }

    /// Gives out the start.
    private mutating func enter(_ definition: ServiceDefinition, at now: UInt64) -> [Effect] {
        if !role.isHelper {
            role = firstProgram(definition)
        }
        state = .starting
        return [.start(role)]
    }

    /// The program that comes next on the way to `run`.
    private func firstProgram(_ definition: ServiceDefinition) -> ProgramRole {
        if definition.programs.contains(.start) && !isPrepared { return .prepare }
        if definition.programs.contains(.announce) && !isAnnounced { return .announce }
        return .run
    }

    /// Asks for the start again a little later. The status file may still name the process before.
    private mutating func retry(at time: UInt64) -> [Effect] {
        if role.isHelper {
            state = .waiting(until: time)
            return [.writeStatus]
        }
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

    private mutating func noteStart(
        of pid: Int32, _ definition: ServiceDefinition, at now: UInt64
    ) -> [Effect] {
        refusals = 0
        congestions = 0
        isStopping = false
        wasTerminated = false
        if role == .run {
            isExpected = false
            isAnnounced = false
        }
        if !role.isHelper {
            wasStopped = false
            hasFailed = false
        }
        killTime = limit(definition).map { now + $0 }
        if role != .run {
            state = .busy(pid: pid)
            return !role.isHelper && wish == .down ? goDown(definition, at: now) : [.writeStatus]
        }
        state = .up(pid: pid)
        starts += 1
        startTime = now
        earliestStart = now + max(definition.delay, ServiceMachine.shortestDelay)
        reason = .none
        sentence = nil
        mustUndo = definition.kind == .longrun && definition.programs.contains(.stop)
        isReady = definition.kind == .longrun && definition.readiness == .start
        readyTime = isReady ? nil : definition.readyLimit.map { now + $0 }
        pingTime = definition.watchdog.map { now + $0 }
        // It was told to go down while it was on its way.
        return wish == .down ? goDown(definition, at: now) : [.writeStatus]
    }

    /// How long the program that is started may take.
    private func limit(_ definition: ServiceDefinition) -> UInt64? {
        switch role {
        case .run: definition.kind == .oneshot ? definition.upLimit : nil
        case .prepare: definition.upLimit
        case .announce: definition.stopLimit ?? CompanionQueue.patience
        case .finish: definition.finishLimit
        case .stop, .undo: definition.downLimit
        }
    }

    /// A process that was refused is still owed, but not so soon: the machine is short of something. What would only
    /// tidy up is done without.
    private mutating func noteRefusal(_ definition: ServiceDefinition, at now: UInt64) -> [Effect] {
        if role.isHelper { return goOnAfterHelper(definition, at: now) }
        if isLeaving { return end() }
        earliestStart = now + UInt64.seconds(1) << UInt64(refusals)
        refusals = min(refusals + 1, ServiceMachine.mostDoublings)
        if wish == .down {
            state = .down
            return [.writeStatus]
        }
        return start(definition, at: now)
    }

    mutating func end() -> [Effect] {
        state = .over
        return [.writeStatus, .end]
    }
}

extension ServiceMachine {
    /// Whether it is on its way to be ready, as far as anybody knows.
    var isComing: Bool {
        switch state {
        case .blocked, .waiting, .starting, .up, .busy: !isReady
        case .down, .done, .failed, .over: false
        }
    }

    /// Whether it is down and stays so by itself.
    var isAtRest: Bool {
        switch state {
        case .down, .failed: wish != .up
        default: false
        }
    }

    /// Whether a program that follows the process is still to be started.
    var isHelperDue: Bool {
        switch state {
        case .waiting, .starting: role.isHelper
        default: false
        }
    }
}
