import Bytes
import Formats
import Testing

@testable import Services

/// What must always hold does not.
struct BrokenInvariant: Error, CustomStringConvertible {
    let description: String
}

/// A conductor in a simulated world: a kernel that performs its actions, and a second account of what it has to do,
/// which is written from the manual and not from the code.
final class World {
    static let second: UInt64 = 1_000_000_000

    var conductor: Conductor
    let schedule: Schedule
    let hasScanDirectory: Bool
    let reachesOthers: Bool

    // The kernel.
    var now: UInt64 = 5_000_000_000
    var timeOfDay: Int64 = 1_000_000_000
    var files = SimulatedFiles()
    var wasWatched = false
    let listingCost: UInt64 = 200_000
    var processes: [SimulatedProcess] = []
    var pipes: [SimulatedPipe] = []
    /// The pipe of each pair, by its place.
    var pipeOfPair: [Int: Int] = [:]
    var lastPid: Int32 = 0
    var spawned = 0
    var mayHaveChanged = true
    var failures: [Failure: Int] = [:]

    // What is expected.
    /// The services, by their places.
    var services: [SupervisedService?] = []
    var expectedSignals: [ExpectedSignal] = []
    var stop: ExpectedStop?
    var commandCode: Int32?
    var hasKilled = false
    var hasListed = false
    var isOver = false
    /// The command that is being handled.
    var lastCommand: Command?
    /// The signals to those that are bound to a service that has ended.
    var boundSignals: [ExpectedSignal] = []
    /// How late the driver may be at this moment.
    var lateness: UInt64 = 0

    /// How many events the conductor has been given.
    private(set) var count = 0
    /// Whether to write down everything, and what has been.
    let isTraced: Bool
    private(set) var trace: [String] = []

    init(_ schedule: Schedule, isTraced: Bool = false) {
        self.schedule = schedule
        self.isTraced = isTraced
        hasScanDirectory = schedule.kind != .supervise && schedule.kind != .commandAlone
        reachesOthers = schedule.kind != .supervise && schedule.kind != .scan
        conductor = Conductor(
            .init(
                single: schedule.kind == .supervise ? "a" : nil, hasScanDirectory: hasScanDirectory,
                command: [.commandAlone, .initializeWithCommand].contains(schedule.kind)
                    ? "command" : nil,
                stopLimit: schedule.limit, stopReserve: schedule.reserve,
                reachesOthers: reachesOthers))
        if schedule.kind == .supervise {
            _ = files.make(hasRun: true, isWhole: true, { _ in true }, at: now)
        }
    }

    func require(_ condition: Bool, _ problem: @autoclosure () -> String) throws {
        if !condition { throw BrokenInvariant(description: problem()) }
    }

    private func note(_ line: String) { trace.append("\(Double(now) / 1e9) \(line)") }

    /// Whether an attempt fails this time.
    func fails(_ failure: Failure) -> Bool {
        guard let left = failures[failure], left > 0 else { return false }
        failures[failure] = left - 1
        return true
    }

    var moment: Moment {
        Moment(
            nanoseconds: now,
            timeOfDay: TAI64N(unixSeconds: timeOfDay &+ Int64(now / World.second), nanoseconds: 0))
    }

    // MARK: - The driver

    /// Hands in an event and all that follows from it, and what is due then.
    func happen(_ event: Event) throws {
        if isOver { return }
        try cascade(event)
        var turns = 0
        while !isOver, let deadline = conductor.deadline, deadline <= now {
            turns += 1
            try require(turns < 8, "a deadline that has passed is still there")
            try cascade(.timePassed)
        }
        if !isOver { try checkRest() }
    }

    private func cascade(_ event: Event) throws {
        if schedule.isBatched {
            var events = [event]
            var next = 0
            while next < events.count {
                for action in try hand(events[next]) {
                    if let outcome = try perform(action) { events.append(outcome) }
                }
                next += 1
            }
        } else {
            var actions = try hand(event)
            var next = 0
            while next < actions.count {
                if let outcome = try perform(actions[next]) { actions += try hand(outcome) }
                next += 1
            }
        }
    }

    private func hand(_ event: Event) throws -> [Action] {
        count += 1
        if schedule.restoreEvery > 0 && count % schedule.restoreEvery == 0 { try restore() }
        if isTraced { note("\(event)") }
        try require(!isOver, "an event after the end")
        try expect(event)
        expectEndOfServices()
        let actions = conductor.handle(event, at: moment)
        try expectStopOfEssential()
        expectEndOfServices()
        if isTraced { for action in actions { note("    \(action)") } }
        noteWanted()
        try check(actions)
        noteGoneServices()
        return actions
    }

    private func restore() throws {
        let restored = try Conductor(snapshot: conductor.snapshot())
        try require(
            restored == conductor, "the restored conductor differs in \(difference(restored))")
        conductor = restored
    }

    private func difference(_ other: Conductor) -> String {
        let pairs = zip(Mirror(reflecting: conductor).children, Mirror(reflecting: other).children)
        let different = pairs.filter { "\($0.value)" != "\($1.value)" }
        return different.map { $0.0.label ?? "" }.joined(separator: ", ")
    }

    // MARK: - The schedule

    /// Lets all happen that is in the schedule, and then the end.
    func run() throws {
        try happen(.began)
        for stimulus in schedule.stimuli {
            if isOver { return }
            if isTraced { note("-- \(stimulus)") }
            try apply(stimulus)
        }
        if isTraced { note("-- the end") }
        try happen(.stopAsked(.exit, signal: .terminate))
        try wait(schedule.limit + 2 * World.second, lateBy: 0)
        try require(isOver, "the stop did not end")
    }

    private func apply(_ stimulus: Stimulus) throws {
        switch stimulus {
        case .wait(let time, let late): try wait(time, lateBy: late)
        case .command(let number, let command):
            guard let id = pickService(number) else { return }
            try happen(.commanded(ServiceID(id), command))
        case .end(let number, let status):
            guard let index = pick(number) else { return }
            end(index, status: status, at: now)
            try reap()
        case .fork(let number):
            guard let index = pick(number), processes.count < 20 else { return }
            processes.append(
                SimulatedProcess(
                    pid: pid(), role: .other, writer: processes[index].writer,
                    reader: processes[index].reader, delay: 1000))
            mayHaveChanged = true
        case .ignore(let number, let ignores):
            if let index = pick(number) { processes[index].ignores = ignores }
        case .hang(let number, let time):
            if let index = pick(number) {
                processes[index].hangsUntil = now &+ min(time, .max - now)
            }
        case .write(let number, let bytes): try write(number, bytes)
        case .read(let number, let bytes):
            guard let index = pick(number, where: { $0.reader != nil }) else { return }
            try read(index, bytes)
            try reap()
        case .change(let change, let name, let other):
            if hasScanDirectory { try self.change(change, name: name, other: other) }
        case .fail(let failure, let times): failures[failure] = times
        case .setClock(let seconds): timeOfDay = seconds
        case .hangup: try happen(.rescanAsked)
        case .forward(let signal): try happen(.forwarded(ServiceSignal(rawValue: signal)))
        case .orphan:
            if processes.count < 20 && stop == nil {
                processes.append(SimulatedProcess(pid: pid(), role: .other, delay: 1000))
                mayHaveChanged = true
            }
        case .wakeEarly: try happen(.timePassed)
        case .say(let number, let word): try say(number, word)
        case .stop(let number, let signal):
            let ending = Ending.allCases[number % Ending.allCases.count]
            try happen(.stopAsked(ending, signal: ServiceSignal(rawValue: signal)))
        case .settle: try settle()
        }
    }

    private func say(_ number: Int, _ word: Int) throws {
        guard let id = pickService(number), isDefined(services[id]) else { return }
        let notices: [ServiceNotice] = [
            .reloading, .stopping, .pinged, .troubled, .extended(1_000_000_000), .status("busy"),
            .watchdogPeriod(700_000_000),
        ]
        if word < notices.count {
            try happen(.said(ServiceID(id), notices[word]))
        } else {
            try happen(.ready(ServiceID(id)))
        }
    }

    private func pickService(_ number: Int) -> Int? {
        for offset in services.indices {
            let index = (number % services.count + offset) % services.count
            if let service = services[index], service.standing != .command { return index }
        }
        return nil
    }

    func wait(_ time: UInt64, lateBy late: UInt64) throws {
        let target = now + time
        lateness = late
        defer { lateness = 0 }
        while !isOver {
            try reap()
            if isOver { return }
            var next = target
            let deadline = conductor.deadline
            if let deadline { next = min(next, max(now, deadline + late)) }
            for process in processes {
                if let end = process.end, end > now { next = min(next, end) }
            }
            now = max(now, next)
            try readAll()
            try reap()
            if let deadline = conductor.deadline, deadline <= now, !isOver {
                try happen(.timePassed)
            }
            if now >= target { return }
        }
    }

    /// After some time in which nothing fails, everything is as it should be.
    private func settle() throws {
        if stop != nil { return }
        failures = [:]
        for inode in files.directories.indices {
            files.directories[inode]?.isBroken = false
            files.directories[inode]?.isLocked = false
        }
        for _ in 0..<2 {
            try happen(.rescanAsked)
            try wait(7 * World.second, lateBy: 0)
        }
        if isOver || stop != nil { return }
        try checkCalm()
    }
}
