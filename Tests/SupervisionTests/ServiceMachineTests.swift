import Services
import Testing

@testable import Supervision

/// What each command does in each state, written out.
@Suite("The service machine") struct ServiceMachineTests {
    typealias Effect = ServiceMachine.Effect

    private let second: UInt64 = 1_000_000_000

    /// A machine that has been through `events`, all at the time 0, except for what it wants done.
    private func machine(isDown: Bool = false, _ events: [ServiceMachine.Event]) -> ServiceMachine {
        var machine = ServiceMachine(isDown: isDown)
        for event in [.begin] + events { _ = effects(of: event, on: &machine) }
        return machine
    }

    private func effects(
        of event: ServiceMachine.Event, on machine: inout ServiceMachine, at now: UInt64 = 0
    ) -> [Effect] {
        var effects: [Effect] = []
        machine.handle(event, at: now, &effects)
        return effects
    }

    private var up: ServiceMachine { machine([.started(pid: 7)]) }
    private var down: ServiceMachine { machine(isDown: true, []) }
    /// Started at 0, ended at once, so that the next start is due at one second.
    private var waiting: ServiceMachine { machine([.started(pid: 7), .ended]) }

    @Test("A service starts at once, and one with `down` does not")
    func begin() {
        var up = ServiceMachine(isDown: false)
        #expect(effects(of: .begin, on: &up) == [.writeStatus, .start])
        var down = ServiceMachine(isDown: true)
        #expect(effects(of: .begin, on: &down) == [.writeStatus])
        #expect(down.deadline == nil)
    }

    static let onUp: [(Command, [Effect])] = [
        (.up, [.writeStatus]),
        (.down, [.signal(.terminate), .signal(.continue), .writeStatus]),
        (.once, [.writeStatus]),
        (.exit, []),
        (.pause, [.writeStatus, .signal(.stop)]),
        (.continue, [.writeStatus, .signal(.continue)]),
        (.hangup, [.signal(.hangup)]),
        (.alarm, [.signal(.alarm)]),
        (.interrupt, [.signal(.interrupt)]),
        (.terminate, [.signal(.terminate)]),
        (.kill, [.signal(.kill)]),
        (.quit, [.signal(.quit)]),
        (.user1, [.signal(.user1)]),
        (.user2, [.signal(.user2)]),
        (.windowChange, [.signal(.windowChange)]),
    ]

    @Test("Commands to a service that is up", arguments: onUp)
    func commandsWhileUp(command: Command, expected: [Effect]) {
        var machine = up
        #expect(effects(of: .command(command), on: &machine) == expected)
        #expect(machine.pid == 7)
    }

    static let onDown: [(Command, [Effect])] = [
        (.up, [.writeStatus, .start]),
        (.down, [.writeStatus]),
        (.once, [.writeStatus, .start]),
        (.exit, [.end]),
        (.pause, [.writeStatus]),
        (.continue, [.writeStatus]),
    ]

    @Test("Commands to a service that is down", arguments: Command.allCases)
    func commandsWhileDown(command: Command) {
        var machine = down
        let expected = Self.onDown.first { $0.0 == command }?.1 ?? []
        #expect(effects(of: .command(command), on: &machine) == expected)
        #expect(machine.isPaused == false)
    }

    @Test("Every command has a letter and a row in these tables")
    func tables() {
        #expect(Set(Self.onUp.map { $0.0 }) == Set(Command.allCases))
        #expect(
            String(decoding: Command.allCases.map { $0.rawValue }, as: UTF8.self)
                == "udoxpchaitkq12w")
    }

    @Test("A restart waits until a second after the start, not after the death")
    func oneSecond() {
        var machine = up
        #expect(effects(of: .ended, on: &machine, at: second / 4) == [.writeStatus])
        #expect(machine.deadline == second)
        #expect(effects(of: .deadline, on: &machine, at: second - 1) == [])
        #expect(effects(of: .deadline, on: &machine, at: second) == [.start])
    }

    @Test("A service that lived longer starts again at once")
    func longLife() {
        var machine = up
        #expect(effects(of: .ended, on: &machine, at: second) == [.writeStatus, .start])
    }

    @Test("Nothing is started after `d`, not even what was waiting")
    func downCancels() {
        var machine = waiting
        #expect(effects(of: .command(.down), on: &machine) == [.writeStatus])
        #expect(machine.deadline == nil)
        #expect(effects(of: .deadline, on: &machine, at: 5 * second) == [])
    }

    @Test("`u` and `o` within the second wait for it", arguments: [Command.up, .once])
    func startWithinSecond(command: Command) {
        var machine = waiting
        _ = effects(of: .command(.down), on: &machine)
        #expect(effects(of: .command(command), on: &machine, at: second / 2) == [.writeStatus])
        #expect(machine.deadline == second)
        #expect(effects(of: .deadline, on: &machine, at: second) == [.start])
    }

    @Test("`o` lets a running service run, and does not start it again")
    func onceWhileUp() {
        var machine = up
        _ = effects(of: .command(.once), on: &machine)
        #expect(effects(of: .ended, on: &machine, at: 9 * second) == [.writeStatus])
        #expect(machine.deadline == nil)
        #expect(machine.wish == .none)
    }

    @Test("`x` waits for the process, and ends without starting another")
    func exitWhileUp() {
        var machine = up
        _ = effects(of: .command(.exit), on: &machine)
        #expect(effects(of: .command(.up), on: &machine) == [.writeStatus])
        #expect(effects(of: .ended, on: &machine, at: 9 * second) == [.writeStatus, .end])
        #expect(machine.isOver)
        #expect(effects(of: .command(.up), on: &machine, at: 20 * second) == [])
    }

    @Test("`x` ends a service that waits for its start")
    func exitWhileWaiting() {
        var machine = waiting
        #expect(effects(of: .command(.exit), on: &machine) == [.end])
    }

    @Test("A paused service is up until it ends")
    func pause() {
        var machine = up
        _ = effects(of: .command(.pause), on: &machine)
        #expect(machine.isPaused)
        _ = effects(of: .ended, on: &machine)
        #expect(!machine.isPaused)
    }

    @Test("A file that cannot be run is tried every second")
    func unrunnable() {
        var machine = machine([])
        for turn in 0..<5 as Range<UInt64> {
            #expect(
                effects(of: .startFailed(isRefusal: false), on: &machine, at: turn * second) == [])
            #expect(machine.deadline == (turn + 1) * second)
            #expect(effects(of: .deadline, on: &machine, at: (turn + 1) * second) == [.start])
        }
    }

    @Test("A refused process is tried again after 1, 2, 4, … 32, 32 seconds, even for `o`")
    func refused() {
        var machine = machine(isDown: true, [.command(.once)])
        var now: UInt64 = 0
        for wait in [1, 2, 4, 8, 16, 32, 32, 32] as [UInt64] {
            #expect(effects(of: .startFailed(isRefusal: true), on: &machine, at: now) == [])
            now += wait * second
            #expect(machine.deadline == now)
            #expect(effects(of: .deadline, on: &machine, at: now) == [.start])
        }
        _ = effects(of: .started(pid: 8), on: &machine, at: now)
        #expect(machine.pid == 8)
    }

    @Test("`o` tries a file that cannot be run only once")
    func unrunnableOnce() {
        var machine = machine(isDown: true, [.command(.once), .startFailed(isRefusal: false)])
        #expect(machine.deadline == nil)
        #expect(effects(of: .deadline, on: &machine, at: 9 * second) == [])
    }

    @Test("A death that is not its own changes nothing")
    func strangeDeath() {
        var machine = down
        #expect(effects(of: .ended, on: &machine) == [])
    }
}
