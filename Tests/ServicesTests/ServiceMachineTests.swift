import Testing

@testable import Services

private let second: UInt64 = 1_000_000_000

/// How each state is come to, all at the time 0.
enum StartState: String, CaseIterable {
    case down, onceDown, waiting, starting, up, paused, leaving, over

    var machine: ServiceMachine {
        var machine = ServiceMachine(wish: self == .down ? .down : .up)
        let events: [ServiceMachine.Event] =
            switch self {
            case .down: [.begin]
            case .onceDown: [.begin, .started(pid: 7), .command(.once), .ended(Death(status: 0))]
            case .waiting: [.begin, .started(pid: 7), .ended(Death(status: 0))]
            case .starting: [.begin]
            case .up: [.begin, .started(pid: 7)]
            case .paused: [.begin, .started(pid: 7), .command(.pause)]
            case .leaving: [.begin, .started(pid: 7), .command(.exit)]
            case .over: [.begin, .started(pid: 7), .ended(Death(status: 0)), .command(.exit)]
            }
        for event in events { _ = machine.handle(event, at: 0) }
        return machine
    }

    var hasProcess: Bool { [.up, .paused, .leaving].contains(self) }
}

private let wait = ServiceMachine.State.waiting(until: second)
private let up = ServiceMachine.State.up(pid: 7)
private let goDown: [ServiceMachine.Effect] = [
    .signal(pid: 7, .terminate), .signal(pid: 7, .continue), .writeStatus,
]

/// What happens half a second after the start: effects, and the state after them.
private let transitions:
    [(StartState, ServiceMachine.Event, [ServiceMachine.Effect], ServiceMachine.State)] = [
        (.down, .begin, [.writeStatus], .down),
        (.down, .started(pid: 9), [], .down),
        (.down, .refused, [], .down),
        (.down, .congested, [], .down),
        (.down, .postponed, [], .down),
        (.down, .ended(Death(status: 0)), [], .down),
        (.down, .deadline, [], .down),
        (.down, .command(.up), [.writeStatus, .start(.run)], .starting),
        (.down, .command(.once), [.writeStatus, .start(.run)], .starting),
        (.down, .command(.down), [.writeStatus], .down),
        (.down, .command(.exit), [.writeStatus, .end], .over),
        (.down, .command(.pause), [.writeStatus], .down),
        (.down, .command(.continue), [.writeStatus], .down),

        (.onceDown, .begin, [.writeStatus], wait),
        (.onceDown, .ended(Death(status: 0)), [], .down),
        (.onceDown, .deadline, [], .down),
        (.onceDown, .command(.up), [.writeStatus, .writeStatus], wait),
        (.onceDown, .command(.once), [.writeStatus, .writeStatus], wait),
        (.onceDown, .command(.down), [.writeStatus], .down),
        (.onceDown, .command(.exit), [.writeStatus, .end], .over),

        (.waiting, .begin, [], wait),
        (.waiting, .started(pid: 9), [], wait),
        (.waiting, .refused, [], wait),
        (.waiting, .congested, [], wait),
        (.waiting, .postponed, [], wait),
        (.waiting, .ended(Death(status: 0)), [], wait),
        (.waiting, .deadline, [], wait),
        (.waiting, .command(.up), [.writeStatus], wait),
        (.waiting, .command(.once), [.writeStatus], wait),
        (.waiting, .command(.down), [.writeStatus], .down),
        (.waiting, .command(.exit), [.writeStatus, .end], .over),
        (.waiting, .command(.pause), [.writeStatus], wait),
        (.waiting, .command(.continue), [.writeStatus], wait),

        (.starting, .begin, [], .starting),
        (.starting, .started(pid: 9), [.writeStatus], .up(pid: 9)),
        (.starting, .refused, [.writeStatus], .waiting(until: second * 3 / 2)),
        (.starting, .congested, [.writeStatus], .waiting(until: second / 2 + 2_000_000)),
        (.starting, .postponed, [.writeStatus], .waiting(until: second / 2)),
        (.starting, .ended(Death(status: 0)), [], .starting),
        (.starting, .deadline, [], .starting),
        (.starting, .command(.up), [.writeStatus], .starting),
        (.starting, .command(.once), [.writeStatus], .starting),
        (.starting, .command(.down), [.writeStatus], .starting),
        (.starting, .command(.exit), [], .starting),
        (.starting, .command(.pause), [.writeStatus], .starting),
        (.starting, .command(.continue), [.writeStatus], .starting),

        (.up, .begin, [], up),
        (.up, .started(pid: 9), [], up),
        (.up, .refused, [], up),
        (.up, .congested, [], up),
        (.up, .postponed, [], up),
        (.up, .ended(Death(status: 0)), [.writeStatus], wait),
        (.up, .deadline, [], up),
        (.up, .command(.up), [.writeStatus], up),
        (.up, .command(.once), [.writeStatus], up),
        (.up, .command(.down), goDown, up),
        (.up, .command(.exit), [], up),
        (.up, .command(.restart), goDown, up),
        (.up, .command(.pause), [.writeStatus, .signal(pid: 7, .stop)], up),
        (.up, .command(.continue), [.writeStatus, .signal(pid: 7, .continue)], up),

        (.paused, .ended(Death(status: 0)), [.writeStatus], wait),
        (.paused, .command(.up), [.writeStatus], up),
        (.paused, .command(.once), [.writeStatus], up),
        (.paused, .command(.down), goDown, up),
        (.paused, .command(.exit), [], up),
        (.paused, .command(.pause), [.writeStatus, .signal(pid: 7, .stop)], up),
        (.paused, .command(.continue), [.writeStatus, .signal(pid: 7, .continue)], up),

        (.leaving, .ended(Death(status: 0)), [.writeStatus, .end], .over),
        (.leaving, .command(.up), [.writeStatus], up),
        (.leaving, .command(.once), [.writeStatus], up),
        (.leaving, .command(.down), goDown, up),
        (.leaving, .command(.exit), [], up),
        (.leaving, .command(.pause), [.writeStatus, .signal(pid: 7, .stop)], up),
        (.leaving, .command(.continue), [.writeStatus, .signal(pid: 7, .continue)], up),
    ]

private let signalCommands: [(Command, ServiceSignal)] = [
    (.hangup, .hangup), (.alarm, .alarm), (.interrupt, .interrupt), (.terminate, .terminate),
    (.kill, .kill), (.quit, .quit), (.user1, .user1), (.user2, .user2),
    (.windowChange, .windowChange), (.reload, .hangup),
]

/// What each event does in each state, written out.
@Suite("The service machine") struct ServiceMachineTests {
    typealias Effect = ServiceMachine.Effect
    typealias Event = ServiceMachine.Event

    @Test("Each event in each state", arguments: transitions.indices)
    func transition(row: Int) {
        let (start, event, effects, state) = transitions[row]
        var machine = start.machine
        #expect(machine.handle(event, at: second / 2).deeds == effects, "\(start) \(event)")
        #expect(machine.state == state, "\(start) \(event)")
    }

    @Test("A command that is a signal does no more than send it", arguments: signalCommands)
    func signals(command: Command, signal: ServiceSignal) {
        for start in StartState.allCases {
            var machine = start.machine
            var before = machine
            let expected: [Effect] = start.hasProcess ? [.signal(pid: 7, signal)] : []
            let effects = machine.handle(.command(command), at: second)
            #expect(effects.filter { $0 != .writeStatus } == expected, "\(start)")
            // What is remembered of it is for the next death.
            before.isExpected = machine.isExpected
            before.wasTerminated = machine.wasTerminated
            #expect(machine == before, "\(start)")
        }
    }

    @Test("Nothing happens when it is over")
    func over() {
        let events: [Event] =
            [
                .begin, .started(pid: 9), .refused, .congested, .postponed,
                .ended(Death(status: 0)), .deadline,
            ]
            + Command.allCases.map { .command($0) }
        for event in events {
            var machine = StartState.over.machine
            #expect(machine.handle(event, at: 9 * second) == [], "\(event)")
            #expect(machine.isOver)
        }
    }

    @Test("Every command has a letter and is in these tables")
    func letters() {
        var commands = signalCommands.map { $0.0 }
        for case (.up, .command(let command), _, _) in transitions { commands.append(command) }
        #expect(Set(commands) == Set(Command.allCases))
        #expect(
            String(decoding: Command.allCases.map { $0.rawValue }, as: UTF8.self)
                == "udoxpchaitkq12wrR")
    }

    @Test("What is wanted, and whether it is paused or leaving, as commands say")
    func wishes() {
        for start in StartState.allCases where start != .over {
            for (command, wish) in [(.up, .up), (.once, .none), (.down, .down)]
                as [(Command, ServiceMachine.Wish)]
            {
                var machine = start.machine
                _ = machine.handle(.command(command), at: 0)
                #expect(machine.wish == wish)
                #expect(machine.isLeaving == (start == .leaving))
                #expect(machine.isPaused == (start == .paused && command != .down))
            }
            var machine = start.machine
            _ = machine.handle(.command(.pause), at: 0)
            #expect(machine.isPaused == start.hasProcess)
            _ = machine.handle(.command(.continue), at: 0)
            #expect(!machine.isPaused)
            _ = machine.handle(.command(.exit), at: 0)
            #expect(machine.isLeaving)
        }
    }

    @Test("A service starts at once, and one with `down` does not")
    func begin() {
        var up = ServiceMachine(wish: .up)
        #expect(up.handle(.begin, at: 0) == [.start(.run)])
        var down = ServiceMachine(wish: .down)
        #expect(down.handle(.begin, at: 0) == [.writeStatus])
        #expect(down.deadline == nil)
    }

    @Test("A restart waits until a second after the start, not after the death")
    func oneSecond() {
        var machine = StartState.up.machine
        #expect(machine.handle(.ended(Death(status: 0)), at: second / 4).deeds == [.writeStatus])
        #expect(machine.deadline == second)
        #expect(machine.handle(.deadline, at: second - 1) == [])
        #expect(machine.handle(.deadline, at: second) == [.start(.run)])
    }

    @Test("A service that lived longer starts again at once")
    func longLife() {
        var machine = StartState.up.machine
        #expect(machine.handle(.ended(Death(status: 0)), at: second).deeds == [.start(.run)])
    }

    @Test("Nothing is started after `d`, not even what was waiting")
    func downCancels() {
        var machine = StartState.waiting.machine
        _ = machine.handle(.command(.down), at: 0)
        #expect(machine.deadline == nil)
        #expect(machine.handle(.deadline, at: 5 * second) == [])
    }

    @Test("`u` and `o` within the second wait for it", arguments: [Command.up, .once])
    func startWithinSecond(command: Command) {
        var machine = StartState.waiting.machine
        _ = machine.handle(.command(.down), at: 0)
        _ = machine.handle(.command(command), at: second / 2)
        #expect(machine.deadline == second)
        #expect(machine.handle(.deadline, at: second) == [.start(.run)])
    }

    @Test("`o` lets a running service run, and does not start it again")
    func onceWhileUp() {
        var machine = StartState.up.machine
        _ = machine.handle(.command(.once), at: 0)
        #expect(machine.handle(.ended(Death(status: 0)), at: 9 * second) == [.writeStatus])
        #expect(machine.state == .down)
    }

    @Test("A paused service that ends is paused no more")
    func pause() {
        var machine = StartState.paused.machine
        _ = machine.handle(.ended(Death(status: 0)), at: 0)
        #expect(!machine.isPaused)
    }

    @Test("A refused process is tried again after 1, 2, 4, … 32, 32 seconds, even for `o`")
    func refused() {
        var machine = StartState.down.machine
        _ = machine.handle(.command(.once), at: 0)
        var now: UInt64 = 0
        for wait in [1, 2, 4, 8, 16, 32, 32, 32] as [UInt64] {
            #expect(machine.handle(.refused, at: now) == [.writeStatus])
            now += wait * second
            #expect(machine.deadline == now)
            #expect(machine.handle(.deadline, at: now) == [.start(.run)])
        }
        _ = machine.handle(.started(pid: 8), at: now)
        #expect(machine.pid == 8)
        _ = machine.handle(.command(.up), at: now)
        _ = machine.handle(.ended(Death(status: 0)), at: now + second)
        _ = machine.handle(.refused, at: now + second)
        #expect(machine.deadline == now + 2 * second, "a start makes the wait short again")
    }

    @Test("While others are on their way it asks often at first, and then seldom")
    func congestion() {
        var machine = StartState.starting.machine
        var now: UInt64 = 0
        var waits: [UInt64] = []
        for _ in 0..<60 {
            _ = machine.handle(.congested, at: now)
            guard let due = machine.deadline else { break }
            waits.append((due - now) / 1_000_000)
            now = due
            #expect(machine.handle(.deadline, at: now) == [.start(.run)])
        }
        #expect(waits == [UInt64](repeating: 2, count: 50) + [UInt64](repeating: 100, count: 10))
        _ = machine.handle(.started(pid: 7), at: now)
        _ = machine.handle(.ended(Death(status: 0)), at: now + second)
        _ = machine.handle(.congested, at: now + second)
        #expect(machine.deadline == now + second + 2_000_000)
    }

    @Test("What is asked between a start and its outcome is done with it")
    func askedWhileStarting() {
        var machine = StartState.starting.machine
        _ = machine.handle(.command(.down), at: 0)
        var other = machine
        #expect(machine.handle(.started(pid: 7), at: 0) == goDown)
        #expect(other.handle(.refused, at: 0) == [.writeStatus])
        #expect(other.state == .down)

        for failure in [.congested, .postponed] as [Event] {
            var machine = StartState.starting.machine
            _ = machine.handle(.command(.down), at: 0)
            _ = machine.handle(failure, at: 0)
            #expect(machine.state == .down)
        }
        for failure in [.refused, .congested, .postponed] as [Event] {
            var machine = StartState.starting.machine
            _ = machine.handle(.command(.exit), at: 0)
            #expect(machine.handle(failure, at: 0) == [.writeStatus, .end])
        }
    }
}

extension [ServiceMachine.Effect] {
    /// What is done, without what is told.
    fileprivate var deeds: [ServiceMachine.Effect] {
        filter { if case .report = $0 { false } else { true } }
    }
}
