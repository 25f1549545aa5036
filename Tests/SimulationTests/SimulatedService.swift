import Services

@testable import Supervision

/// A broken invariant: what, and after which events.
struct BrokenInvariant: Error, CustomStringConvertible {
    let description: String
}

/// One service machine under a simulated kernel and clock, with everything that must hold checked at
/// every step. What commands mean is written down here a second time, from the manual and not from
/// the code.
struct SimulatedService {
    private var machine: ServiceMachine
    private var effects: [ServiceMachine.Effect] = []
    private var history: [String] = []

    // The kernel's side.
    private var now: UInt64 = 1
    private var process: Int32 = 0
    private var isStopped = false
    private var isDying = false
    private var nextProcess: Int32 = 100
    private var lastStart: UInt64?
    private var refuseStarts: UInt64 = 0

    // What the commands so far ask for.
    private var wish: ServiceMachine.Wish
    private var isAllowedToStart: Bool
    private var owesStart = false
    private var mustLeave = false
    private var hasEnded = false
    private var written: Record?

    private struct Record: Equatable {
        var pid: Int32
        var isPaused: Bool
        var wish: ServiceMachine.Wish
    }

    /// Whether its supervision is over, so that nothing more can happen.
    var isOver: Bool { hasEnded }

    init(isDown: Bool) throws {
        machine = ServiceMachine(isDown: isDown)
        wish = isDown ? .down : .up
        isAllowedToStart = !isDown
        try step(.begin)
    }

    /// Lets something happen.
    mutating func advance(_ random: inout Random) throws {
        switch random.below(10) {
        case 0...3:
            let letter = Command.allCases[Int(random.below(UInt64(Command.allCases.count)))]
            // Leaving ends the game, so it is rare.
            if letter == .exit && !random.once(in: 50) { return }
            note(letter)
            try step(.command(letter))
        case 4...5: try kernelActs(&random)
        case 6: refuseStarts = random.below(4)
        case 7:
            // A clock may be looked at early.
            try step(.deadline)
        default:
            let small = random.once(in: 2)
            try pass(
                random.below(small ? 1_000_000 : 3_000_000_000), isLate: random.once(in: 2))
        }
    }

    /// Time goes on; whoever sleeps until the deadline wakes at it or a little late.
    private mutating func pass(_ time: UInt64, isLate: Bool) throws {
        now += time
        guard let deadline = machine.deadline, deadline <= now else { return }
        if !isLate { now = deadline }
        try step(.deadline)
        try require(machine.deadline ?? .max > now, "a deadline that has passed is still there")
    }

    private mutating func note(_ command: Command) {
        switch command {
        case .up:
            wish = .up
            isAllowedToStart = true
        case .once:
            wish = .none
            isAllowedToStart = true
            owesStart = process == 0
        case .down:
            wish = .down
            isAllowedToStart = false
            owesStart = false
        case .exit: mustLeave = true
        default: break
        }
    }

    private mutating func kernelActs(_ random: inout Random) throws {
        guard process != 0 else { return }
        // A process may end whenever it likes, not only when it is told to.
        guard isDying || (!isStopped && random.once(in: 2)) else { return }
        process = 0
        isDying = false
        isStopped = false
        if wish == .none { isAllowedToStart = false }
        try step(.ended)
    }

    private mutating func step(_ event: ServiceMachine.Event) throws {
        history.append("\(now) \(event)")
        if history.count > 40 { history.removeFirst(20) }
        effects.removeAll(keepingCapacity: true)
        let before = machine
        machine.handle(event, at: now, &effects)
        try checkSignals(event, before)
        var next = 0
        while next < effects.count {
            try perform(effects[next])
            next += 1
        }
        try checkState()
    }

    private mutating func perform(_ effect: ServiceMachine.Effect) throws {
        try require(!hasEnded, "\(effect) after the end")
        switch effect {
        case .start: try start()
        case .signal(let signal): try receive(signal)
        case .writeStatus:
            written = Record(pid: machine.pid, isPaused: machine.isPaused, wish: machine.wish)
        case .end:
            try require(process == 0, "ended with a process")
            try require(mustLeave, "ended without being told to")
            hasEnded = true
        }
    }

    private mutating func start() throws {
        try require(process == 0, "started a second process")
        try require(isAllowedToStart, "started after `d`, or again after `o`")
        try require(!mustLeave, "started after `x`")
        if let lastStart {
            try require(now >= lastStart + 1_000_000_000, "started within the second")
        }
        lastStart = now
        owesStart = false
        switch refuseStarts {
        case 0:
            process = nextProcess
            nextProcess = nextProcess == .max ? 100 : nextProcess + 1
            machine.handle(.started(pid: process), at: now, &effects)
        case 1:
            if wish == .none { isAllowedToStart = false }
            machine.handle(.startFailed(isRefusal: false), at: now, &effects)
        default:
            owesStart = true
            machine.handle(.startFailed(isRefusal: true), at: now, &effects)
        }
    }

    private mutating func receive(_ signal: ServiceSignal) throws {
        try require(process != 0, "signalled nobody")
        try require(process == machine.pid, "signalled another")
        switch signal {
        case .stop: isStopped = true
        case .continue: isStopped = false
        case .kill: isDying = true
        case .terminate, .interrupt, .hangup, .alarm, .quit, .user1, .user2, .windowChange:
            break
        }
    }

    /// Each command sends what the manual says, and nothing else sends anything.
    private func checkSignals(_ event: ServiceMachine.Event, _ before: ServiceMachine) throws {
        var expected: [ServiceSignal] = []
        if case .command(let command) = event, process != 0 {
            switch command {
            case .up, .once, .exit: break
            case .down: expected = [.terminate, .continue]
            case .pause: expected = [.stop]
            case .continue: expected = [.continue]
            case .hangup: expected = [.hangup]
            case .alarm: expected = [.alarm]
            case .interrupt: expected = [.interrupt]
            case .terminate: expected = [.terminate]
            case .kill: expected = [.kill]
            case .quit: expected = [.quit]
            case .user1: expected = [.user1]
            case .user2: expected = [.user2]
            case .windowChange: expected = [.windowChange]
            }
        }
        var sent = 0
        for case .signal(let signal) in effects {
            try require(sent < expected.count && signal == expected[sent], "sent \(signal)")
            sent += 1
        }
        try require(sent == expected.count, "did not send \(expected)")
    }

    private func checkState() throws {
        try require(machine.pid == process, "knows the wrong process")
        try require(machine.wish == wish, "wants the wrong thing")
        try require(machine.isOver == hasEnded, "over without an end")
        let record = Record(pid: machine.pid, isPaused: machine.isPaused, wish: machine.wish)
        try require(written == record, "the status file says something else")
        try require(!machine.isPaused || process != 0, "nothing is paused")
        try require(machine.isPaused == isStopped, "paused and stopped differ")
        if hasEnded || process != 0 {
            try require(machine.deadline == nil, "waits for nothing")
        } else {
            try require(!mustLeave, "down, told to leave, and still there")
            if wish == .up || owesStart {
                try require(machine.deadline != nil, "down, wanted up, not trying")
            }
            if let deadline = machine.deadline {
                try require(isAllowedToStart, "waits for a start that is not wanted")
                try require(deadline <= now + 32_000_000_000, "waits for too long")
            }
        }
    }

    private func require(_ condition: Bool, _ problem: @autoclosure () -> String) throws {
        if condition { return }
        throw BrokenInvariant(
            description: "\(problem())\n" + history.suffix(20).joined(separator: "\n"))
    }
}
