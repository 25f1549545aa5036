import Formats
import Testing

@testable import Services

private let second: UInt64 = 1_000_000_000

/// One service that asks for more than `run`.
private struct Life {
    var machine = ServiceMachine(wish: .up)
    var definition = ServiceDefinition()
    private var pid: Int32 = 6

    init(_ change: (inout ServiceDefinition) -> Void) {
        change(&definition)
        _ = machine.handle(.begin, definition, at: 0)
    }

    /// The effects of an event at a time in seconds.
    mutating func take(_ event: ServiceMachine.Event, at time: Double) -> [ServiceMachine.Effect] {
        machine.handle(event, definition, at: UInt64(time * 1e9))
    }

    mutating func start(at time: Double = 0) {
        pid += 1
        _ = take(.started(pid: pid), at: time)
    }

    /// What follows when its program ends with a wait status.
    mutating func end(_ status: Int32, at time: Double) -> [ServiceMachine.Effect] {
        take(.ended(Death(status: status)), at: time)
    }

    var deadline: Double? { machine.deadline.map { Double($0) / 1e9 } }
}

extension [ServiceMachine.Effect] {
    fileprivate var signals: [Int32] {
        compactMap { if case .signal(_, let signal, _) = $0 { signal.rawValue } else { nil } }
    }

    fileprivate var starts: [ProgramRole] {
        compactMap { if case .start(let role) = $0 { role } else { nil } }
    }
}

@Suite("A service that asks for more than `run`") struct DefinedServiceTests {
    // MARK: - Its end

    @Test("`finish` is told of the death, and decides with 125 that it is over")
    func finish() {
        var life = Life { $0.programs = [.run, .finish] }
        life.start()
        let death = Death(status: 7 << 8)
        #expect(life.end(7 << 8, at: 2).starts == [.finish(death, pid: 7)])
        life.start(at: 2)
        #expect(life.end(0, at: 2).starts == [.run])
        life.start(at: 2)
        _ = life.end(0, at: 4)
        life.start(at: 4)
        _ = life.end(125 << 8, at: 5)
        #expect(life.machine.state == .failed && life.machine.reason == .permanent)
        #expect(life.deadline == nil)
    }

    @Test("124 and 126 of `finish` mean nothing, nor does 125 of `run`", arguments: [124, 126])
    func notPermanent(code: Int32) {
        var life = Life { $0.programs = [.run, .finish] }
        life.start()
        _ = life.end(125 << 8, at: 2)
        life.start(at: 2)
        #expect(life.end(code << 8, at: 2).starts == [.run])
    }

    @Test("`finish` is killed after its time")
    func finishLimit() {
        var life = Life {
            $0.programs = [.run, .finish]
            $0.finishLimit = 5 * second
        }
        life.start()
        _ = life.end(0, at: 1)
        life.start(at: 1)
        #expect(life.deadline == 6)
        #expect(life.take(.deadline, at: 5.9) == [])
        #expect(life.take(.deadline, at: 6).signals == [9])
    }

    @Test("100 of `run` is the end where there is a program of encore's", arguments: [true, false])
    func hundred(isEncore: Bool) {
        var life = Life { $0.programs = isEncore ? [.run, .notify] : .run }
        life.start()
        let effects = life.end(100 << 8, at: 2)
        #expect((life.machine.state == .failed) == isEncore)
        #expect(effects.starts == (isEncore ? [] : [.run]))
    }

    @Test("100 of `stop` keeps it from being started again")
    func hundredOfStop() {
        var life = Life {
            $0.programs = [.run, .stop]
            $0.restart = .never
        }
        life.start()
        #expect(life.end(0, at: 2).starts == [.stop])
        life.start(at: 2)
        _ = life.end(100 << 8, at: 3)
        #expect(life.machine.state == .failed)
    }

    // MARK: - Its restart

    @Test(
        "Which ends are followed by a start",
        arguments: [
            (ServiceDefinition.Restart.always, 0, ServiceMachine.State.starting),
            (.always, 1 << 8, .starting), (.onFailure, 0, .down), (.onFailure, 1 << 8, .starting),
            (.onFailure, 9, .starting), (.never, 0, .down), (.never, 1 << 8, .failed),
        ] as [(ServiceDefinition.Restart, Int32, ServiceMachine.State)])
    func policy(restart: ServiceDefinition.Restart, status: Int32, state: ServiceMachine.State) {
        var life = Life { $0.restart = restart }
        life.start()
        _ = life.end(status, at: 2)
        #expect(life.machine.state == state)
        #expect(life.deadline == nil)
    }

    @Test("Ends that are named are successes, or the last")
    func named() {
        var life = Life {
            $0.restart = .onFailure
            $0.successes = [.code(3)]
        }
        life.start()
        _ = life.end(3 << 8, at: 2)
        #expect(life.machine.state == .down)
        var other = Life { $0.finals = [.code(3)] }
        other.start()
        _ = other.end(3 << 8, at: 2)
        #expect(other.machine.state == .failed && other.machine.reason == .permanent)
    }

    @Test("After so many restarts in its window it has failed, and stays so until it is told")
    func limit() {
        var life = Life {
            $0.restartLimit = 2
            $0.limitWindow = 10 * second
        }
        for time in [2.0, 4] {
            life.start(at: time - 2)
            #expect(life.end(256, at: time).starts == [.run])
        }
        life.start(at: 4)
        _ = life.end(256, at: 6)
        #expect(life.machine.state == .failed && life.machine.reason == .tooManyRestarts)
        #expect(life.deadline == nil && life.take(.deadline, at: 100) == [])
        #expect(life.take(.released, at: 100) == [] && life.take(.restart, at: 100) == [])
        #expect(life.take(.command(.up), at: 100).starts == [.run])
        life.start(at: 100)
        #expect(life.end(256, at: 102).starts == [.run])
    }

    @Test("Restarts before it asked to be forgiven do not count")
    func forgiveness() {
        var life = Life {
            $0.restartLimit = 1
            $0.limitWindow = 1000 * second
        }
        for time in stride(from: 2.0, to: 40, by: 2) {
            life.start(at: time - 2)
            #expect(life.take(.forgiven, at: time) == [])
            #expect(life.end(256, at: time).starts == [.run])
        }
        #expect(life.take(.forgiven, at: 40) == [])
        life.start(at: 40)
        _ = life.end(256, at: 42)
        #expect(life.machine.state == .failed)
    }

    @Test("Restarts before the window do not count")
    func window() {
        var life = Life {
            $0.restartLimit = 1
            $0.limitWindow = second
        }
        for time in stride(from: 2.0, to: 40, by: 2) {
            life.start(at: time - 2)
            #expect(life.end(256, at: time).starts == [.run])
        }
    }

    @Test("The delay doubles up to its ceiling, and never falls")
    func backOff() {
        var definition = ServiceDefinition()
        definition.delay = second
        definition.longestDelay = 10 * second
        let delays = (0...100).map { RestartPolicy.backOff(definition, $0) / second }
        #expect(delays.prefix(7) == [1, 1, 2, 4, 8, 10, 10])
        #expect(zip(delays, delays.dropFirst()).allSatisfy { $0 <= $1 })
        var history = RestartHistory()
        var last: UInt64 = 0
        for _ in 0..<8 {
            let decision = RestartPolicy.decide(
                Death(status: 256), wasCondemned: false, isExpected: false, lived: 0, definition,
                &history, earliest: 0, at: 77)
            guard case .restart(let time) = decision else {
                Issue.record("no restart")
                return
            }
            #expect(time >= last && time <= 77 + 10 * second + 10 * second / 8)
            last = time
        }
        let recovered = RestartPolicy.decide(
            Death(status: 256), wasCondemned: false, isExpected: false, lived: 11 * second,
            definition, &history, earliest: 0, at: 0)
        #expect(recovered == .restart(at: second))
    }

    // MARK: - Its readiness

    @Test("What is not ready in time fails, or is started again, or is taken as ready")
    func readiness() {
        for consequence in ServiceDefinition.LateConsequence.allCases {
            var life = Life {
                $0.readiness = .notify
                $0.readyLimit = 3 * second
                $0.ifLate = consequence
            }
            life.start()
            #expect(!life.machine.isReady && life.deadline == 3)
            #expect(life.take(.deadline, at: 2.9) == [])
            let effects = life.take(.deadline, at: 3)
            #expect(effects.contains(.report(.late)))
            if consequence == .proceed {
                #expect(life.machine.isReady && effects.signals == [])
                continue
            }
            #expect(effects.signals == [15, 18] && !life.machine.isReady)
            _ = life.end(15, at: 4)
            #expect(life.machine.state == (consequence == .fail ? .failed : .starting))
            #expect(life.machine.reason == .notReady)
        }
    }

    @Test("What is ready in time is left alone, until it reads its configuration again")
    func reloading() {
        var life = Life {
            $0.readiness = .notify
            $0.readyLimit = 3 * second
        }
        life.start()
        #expect(life.take(.ready, at: 1) == [.writeStatus] && life.machine.isReady)
        #expect(life.deadline == nil)
        _ = life.take(.reloading, at: 5)
        #expect(!life.machine.isReady && life.deadline == 8)
        _ = life.take(.extended(9 * second), at: 6)
        #expect(life.deadline == 15)
    }

    @Test("A watchdog ends what gives no sign of life")
    func watchdog() {
        var life = Life { $0.watchdog = 2 * second }
        life.start()
        _ = life.take(.pinged, at: 1)
        #expect(life.deadline == 3)
        #expect(life.take(.deadline, at: 2.9) == [])
        #expect(life.take(.deadline, at: 3).signals == [6])
        #expect(life.deadline == 8)
        #expect(life.take(.deadline, at: 8).signals == [9])
        #expect(life.end(6, at: 8).starts == [.run])
        #expect(life.machine.reason == .watchdog)
    }

    // MARK: - How it is stopped

    @Test("Its own signal stops it, CONT follows, and KILL when its time is over")
    func stop() {
        var life = Life {
            $0.stopSignal = 3
            $0.stopLimit = 4 * second
            $0.stopReach = .group
        }
        life.start()
        #expect(
            life.take(.command(.down), at: 1) == [
                .signal(pid: 7, .quit, .group), .signal(pid: 7, .continue, .group), .writeStatus,
            ])
        #expect(life.deadline == 5)
        #expect(life.take(.deadline, at: 4.9) == [])
        #expect(life.take(.deadline, at: 5).first == .signal(pid: 7, .kill, .group))
        #expect(life.deadline == 10)
        #expect(life.end(9, at: 5) == [.killRest(pid: 7), .writeStatus])
        #expect(life.machine.state == .down && life.machine.reason == .asked)
    }

    @Test("What is left by one whose signals reach itself alone is looked for after a stop only")
    func rest() {
        var life = Life { _ in }
        life.start()
        #expect(!life.end(9, at: 1).contains(.killRest(pid: 7)))
        life.start()
        _ = life.take(.command(.down), at: 5)
        #expect(life.end(15, at: 6).first == .killRest(pid: 8))
    }

    @Test("Without a limit it has all the time there is")
    func noLimit() {
        var life = Life { _ in }
        life.start()
        _ = life.take(.command(.down), at: 1)
        #expect(life.deadline == nil)
    }

    // MARK: - One-shots

    @Test("A one-shot is done without a process, and undone when it goes down")
    func oneShot() {
        var life = Life {
            $0.kind = .oneshot
            $0.programs = [.up, .down, .run]
        }
        life.start()
        #expect(!life.machine.isReady)
        #expect(life.end(0, at: 1) == [.writeStatus])
        #expect(life.machine.state == .done && life.machine.isReady && life.deadline == nil)
        #expect(life.take(.command(.up), at: 2) == [.writeStatus])
        #expect(life.take(.command(.down), at: 3).starts == [.undo])
        #expect(!life.machine.isReady)
        life.start(at: 3)
        _ = life.end(0, at: 4)
        #expect(life.machine.state == .down)
        #expect(life.take(.command(.down), at: 5) == [.writeStatus])
        #expect(life.take(.command(.up), at: 6).starts == [.run])
    }

    @Test("A one-shot that is told to go down while it works is not ready")
    func oneShotDown() {
        var life = Life { $0.kind = .oneshot }
        life.start()
        _ = life.take(.command(.down), at: 1)
        _ = life.end(0, at: 2)
        #expect(life.machine.state == .down && !life.machine.isReady)
    }

    @Test("A one-shot that fails has failed, unless it is to be tried again")
    func oneShotFails() {
        for restart in ServiceDefinition.Restart.allCases {
            var life = Life {
                $0.kind = .oneshot
                $0.restart = restart
            }
            life.start()
            _ = life.end(256, at: 2)
            #expect(life.machine.state == (restart == .onFailure ? .starting : .failed))
            #expect(!life.machine.isReady)
        }
    }
}
