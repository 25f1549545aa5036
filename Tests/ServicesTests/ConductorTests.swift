import Bytes
import Formats
import Testing

@testable import Services

/// Commands, deaths, the main command and the stop, written out.
@Suite("The conductor") struct ConductorTests {
    private let a = PairID(0)

    @Test("A command to bundles that are in one another comes to an end, and to their services")
    func bundlesInACircle() {
        var script = Script()
        script.take(.began)
        script.list([("a", 1), ("b", 2), ("web", 3)])
        for pair in 0..<3 { script.take(.examined(PairID(pair), log: nil)) }
        for (id, contents) in [["b"], ["a", "web"], []].enumerated() {
            var definition = ServiceDefinition.plain
            if !contents.isEmpty { definition.kind = .bundle }
            definition.contents = contents.map { ByteString($0) }
            script.take(.opened(ServiceID(id), isDown: false, definition))
        }
        script.take(.started(ServiceID(2), pid: 100))
        let actions = script.take(.commanded(ServiceID(0), .hangup))
        #expect(actions.contains(.signal(pid: 100, ServiceSignal(rawValue: 1))))
    }

    @Test("Status files say when the process came or went, by the time of day")
    func status() {
        var script = Script.oneUp()
        let record = StatusRecord(
            since: TAI64N(unixSeconds: 0, nanoseconds: 0), pid: 100, isPaused: true,
            want: StatusRecord.wantsUp)
        #expect(
            script.take(.commanded(ServiceID(0), .pause), at: 3000).withoutDetails == [
                .writeStatus(ServiceID(0), record), .signal(pid: 100, .stop),
            ])
        script.take(.commanded(ServiceID(0), .down), at: 4000)
        #expect(
            script.take(.died(pid: 100, Death(status: 15)), at: 7000).withoutDetails == [
                .killRest(ServiceID(0), pid: 100, .process),
                .writeStatus(
                    ServiceID(0),
                    StatusRecord(
                        since: TAI64N(unixSeconds: 7, nanoseconds: 0), pid: 0, isPaused: false,
                        want: StatusRecord.wantsDown)),
            ])
    }

    @Test("A run that cannot be executed is reported once, and again when the reason changes")
    func startErrors() {
        var script = Script.oneUp()
        var remarks: [[String]] = []
        for (turn, errno) in [2, 2, 13, 0, 13].enumerated() {
            let pid = Int32(100 + turn)
            remarks.append(
                script.take(
                    .died(pid: pid, Death(status: 111 << 8, startError: Int32(errno))),
                    at: UInt64(turn + 1) * 1000
                ).remarks)
            script.take(.started(ServiceID(0), pid: pid + 1))
        }
        let line = "unable to start a/run"
        let ended =
            "a ended with exit code 111 after 1.0 seconds, 4 times in a row, starting it again"
        #expect(remarks == [[line], [], [line], [ended], [line]])
    }

    @Test("A finish that cannot be executed is named, and reported once while run can be")
    func finishErrors() {
        var definition = ServiceDefinition()
        definition.programs = [.run, .finish]
        var script = Script()
        script.take(.began)
        script.list([("a", 1)])
        script.take(.examined(PairID(0), log: nil))
        script.take(.opened(ServiceID(0), isDown: false, definition))
        script.take(.started(ServiceID(0), pid: 100))
        var remarks: [String] = []
        for turn in 0..<3 {
            let pid = Int32(100 + 2 * turn)
            script.take(.died(pid: pid, Death(status: 0)), at: UInt64(turn + 1) * 2000)
            script.take(.started(ServiceID(0), pid: pid + 1))
            let death = Death(status: 111 << 8, startError: 13)
            remarks += script.take(.died(pid: pid + 1, death)).remarks
            script.take(.started(ServiceID(0), pid: pid + 2))
        }
        #expect(remarks == ["unable to start a/finish"])
    }

    @Test("A death that is nobody's changes nothing")
    func orphans() {
        var script = Script.oneUp()
        let before = script.conductor
        #expect(script.take(.died(pid: 4711, Death(status: 0)), at: 5000) == [])
        #expect(script.conductor == before)
    }

    @Test("A process id that is used again belongs to whom it was given last")
    func reusedProcess() {
        var script = Script.onePairUp()
        script.take(.died(pid: 100, Death(status: 0)), at: 5000)
        script.take(.started(ServiceID(1), pid: 101))
        script.take(.died(pid: 200, Death(status: 0)))
        script.take(.started(ServiceID(0), pid: 100))
        #expect(
            script.take(.died(pid: 100, Death(status: 0)), at: 9000) == [
                .start(ServiceID(0), .logger(a), checks: true)
            ])
    }

    // MARK: - The program supervise

    @Test("supervise ends when its service was told to exit")
    func single() {
        var script = Script(hasScanDirectory: false, single: "x")
        #expect(script.take(.began) == [.open(ServiceID(0), .path("x"), name: "x")])
        #expect(
            script.take(.opened(ServiceID(0), isDown: false)) == [
                .start(ServiceID(0), .single, checks: false)
            ])
        script.take(.started(ServiceID(0), pid: 100))
        script.take(.commanded(ServiceID(0), .exit))
        #expect(
            script.take(.died(pid: 100, Death(status: 0))).deeds == [
                .close(ServiceID(0)), .end(.exit, exitCode: 0),
            ])
        #expect(script.take(.rescanAsked) == [], "nothing after the end")
    }

    @Test("supervise ends with 111 when its directory cannot be supervised")
    func singleFails() {
        var script = Script(hasScanDirectory: false, single: "x")
        script.take(.began)
        let actions = script.take(
            .notOpened(ServiceID(0), Complaint("unable to chdir to x", errno: 2)))
        #expect(actions.remarks == ["unable to chdir to x"])
        #expect(actions.deeds == [.end(.exit, exitCode: 111)])
    }

    // MARK: - The main command

    @Test(
        "The end of the main command stops the rest, and gives its exit code",
        arguments: [
            (Death(status: 0), 0), (Death(status: 3 << 8), 3), (Death(status: 9), 137),
            (Death(status: 111 << 8, startError: 2), 127),
            (Death(status: 111 << 8, startError: 13), 126),
        ] as [(Death, Int32)])
    func command(death: Death, code: Int32) {
        var script = Script(command: "c", reachesOthers: true)
        #expect(script.take(.began) == [.list, .start(ServiceID(0), .command, checks: false)])
        script.list([])
        #expect(script.take(.started(ServiceID(0), pid: 50)) == [])
        #expect(script.take(.forwarded(.user1)) == [.signal(pid: 50, .user1)])
        #expect(
            script.take(.died(pid: 50, death), at: 5000).deeds == [
                .expectChildren, .signalOthers([.terminate, .continue], sparing: []),
            ])
        #expect(script.take(.noChildrenLeft) == [.end(.exit, exitCode: code)])
    }

    @Test("A main command that cannot be forked ends everything with 111")
    func commandRefused() {
        var script = Script(command: "c", reachesOthers: true)
        script.take(.began)
        script.list([])
        let actions = script.take(.refused(ServiceID(0), errno: 11))
        #expect(actions.remarks == ["unable to fork for c"])
        #expect(script.take(.noChildrenLeft) == [.end(.exit, exitCode: 111)])
    }

    @Test("A main command that waits is not started once the stop has begun")
    func commandWaits() {
        var script = Script(command: "c", reachesOthers: true)
        script.take(.began)
        script.list([])
        script.take(.congested(ServiceID(0)))
        script.take(.stopAsked(.exit, signal: .terminate))
        #expect(script.take(.timePassed, at: 1000) == [])
        #expect(script.take(.noChildrenLeft) == [.end(.exit, exitCode: 143)])
    }

    @Test("A service that is on its way when the stop begins gets TERM once it is there")
    func startedInTheStop() {
        var script = Script(command: "c", reachesOthers: true)
        script.take(.began)
        script.list([("a", 1)])
        script.take(.examined(a, log: nil))
        script.take(.opened(ServiceID(1), isDown: false))
        script.take(.refused(ServiceID(0), errno: 11))
        #expect(
            script.take(.started(ServiceID(1), pid: 100)).deeds == [
                .signal(pid: 100, .terminate), .signal(pid: 100, .continue),
            ])
    }

    @Test("A service that is being opened when the stop begins is not started")
    func openedInTheStop() {
        var script = Script(command: "c", reachesOthers: true)
        script.take(.began)
        script.list([("a", 1)])
        script.take(.examined(a, log: nil))
        script.take(.refused(ServiceID(0), errno: 11))
        #expect(
            script.take(.opened(ServiceID(1), isDown: false)).deeds == [.close(ServiceID(1))])
    }

    // MARK: - The stop

    @Test("Services get TERM and CONT, the command its signal and CONT; loggers end by themselves")
    func stop() {
        var script = Script.onePairUp()
        #expect(
            script.take(.stopAsked(.exit, signal: .terminate), at: 5000).deeds == [
                .expectChildren, .signal(pid: 100, .terminate), .signal(pid: 100, .continue),
            ])
        #expect(
            script.take(.died(pid: 100, Death(status: 15))).deeds == [
                .close(ServiceID(1)), .closeWriter(a), .closeReader(a),
            ])
        #expect(
            script.take(.died(pid: 200, Death(status: 0))).deeds == [
                .close(ServiceID(0)), .end(.exit, exitCode: 0),
            ])
    }

    @Test("The command gets the signal that was asked for", arguments: Ending.allCases)
    func stopWithCommand(ending: Ending) {
        var script = Script(command: "c", reachesOthers: true)
        script.take(.began)
        script.list([])
        script.take(.started(ServiceID(0), pid: 50))
        #expect(
            script.take(.stopAsked(ending, signal: .interrupt)) == [
                .expectChildren, .signal(pid: 50, .interrupt), .signal(pid: 50, .continue),
            ])
        script.take(.died(pid: 50, Death(status: 2)))
        #expect(script.take(.noChildrenLeft) == [.end(ending, exitCode: 130)])
    }

    @Test("A service that has to be killed is named, and shows in the exit code")
    func killed() {
        var script = Script.onePairUp(reachesOthers: true)
        script.take(.stopAsked(.exit, signal: .terminate), at: 5000)
        #expect(script.deadline == 13_000)
        #expect(script.take(.timePassed, at: 12_999) == [])
        let actions = script.take(.timePassed, at: 13_000)
        #expect(actions.remarks == ["still up after 8.0 seconds, killing: a (pid 100)"])
        #expect(actions.deeds == [.signal(pid: 100, .kill)])
        #expect(
            script.take(.died(pid: 100, Death(status: 9))).deeds == [
                .close(ServiceID(1)), .closeWriter(a), .closeReader(a),
                .signalOthers([.terminate, .continue], sparing: [200]),
            ])
        script.take(.died(pid: 200, Death(status: 0)))
        #expect(script.take(.noChildrenLeft) == [.end(.exit, exitCode: 137)])
    }

    @Test("Asked again, it kills the services at once, and then everything")
    func hurried() {
        var script = Script.onePairUp(reachesOthers: true)
        script.take(.stopAsked(.exit, signal: .terminate))
        #expect(
            script.take(.stopAsked(.reboot, signal: .terminate), at: 1000).deeds == [
                .signal(pid: 100, .kill)
            ])
        script.take(.died(pid: 100, Death(status: 9)), at: 1100)
        #expect(
            script.take(.stopAsked(.reboot, signal: .terminate), at: 1200).deeds == [
                .signalOthers([.kill], sparing: [200]), .signal(pid: 200, .terminate),
                .signal(pid: 200, .continue), .signal(pid: 200, .kill),
                .signalOthers([.kill], sparing: []),
            ])
        script.take(.died(pid: 200, Death(status: 9)))
        #expect(script.take(.noChildrenLeft) == [.end(.reboot, exitCode: 137)])
    }

    @Test("What ignores everything is killed at the limit, and left half a second later")
    func everythingIgnored() {
        var script = Script.onePairUp(reachesOthers: true)
        script.take(.stopAsked(.halt, signal: .terminate))
        var log: [UInt64: [Action]] = [:]
        for _ in 0..<20 {
            guard let deadline = script.deadline else { break }
            log[deadline] = script.take(.timePassed, at: deadline).deeds
        }
        #expect(
            log == [
                8000: [.signal(pid: 100, .kill)],
                8500: [
                    .signalOthers([.terminate, .continue], sparing: [200]),
                    .signalOthers([.kill], sparing: [200]),
                ],
                9000: [.signal(pid: 200, .terminate), .signal(pid: 200, .continue)],
                10_000: [
                    .signal(pid: 200, .kill), .signal(pid: 100, .kill),
                    .signalOthers([.kill], sparing: []),
                ],
                10_250: [
                    .signal(pid: 200, .kill), .signal(pid: 100, .kill),
                    .signalOthers([.kill], sparing: []),
                ],
                10_500: [.end(.halt, exitCode: 137)],
            ])
    }

    @Test("The stop waits for a logger that is about to be started, though no child is left")
    func loggerDueInTheStop() {
        var script = Script.onePairUp(reachesOthers: true)
        script.take(.died(pid: 200, Death(status: 11)), at: 500)
        script.take(.stopAsked(.exit, signal: .terminate))
        script.take(.died(pid: 100, Death(status: 15)))
        #expect(script.take(.noChildrenLeft) == [])
        #expect(
            script.take(.timePassed, at: 1000) == [.start(ServiceID(0), .logger(a), checks: true)])
        script.take(.started(ServiceID(0), pid: 201))
        script.take(.died(pid: 201, Death(status: 0)))
        #expect(script.take(.noChildrenLeft) == [.end(.exit, exitCode: 0)])
    }

    @Test("A logger whose service was told to exit before ends with the stop")
    func loggerWithoutService() {
        var script = Script.onePairUp()
        for command in [Command.down, .exit] { script.take(.commanded(ServiceID(1), command)) }
        script.take(.died(pid: 100, Death(status: 15)), at: 1000)
        #expect(
            script.take(.stopAsked(.exit, signal: .terminate)).deeds == [
                .expectChildren, .closeWriter(a), .closeReader(a),
            ])
        #expect(
            script.take(.died(pid: 200, Death(status: 0))).deeds == [
                .close(ServiceID(0)), .end(.exit, exitCode: 0),
            ])
    }

    @Test("A logger that is just being started is not killed with the others")
    func loggerIsSpared() {
        var script = Script.onePairUp(reachesOthers: true)
        script.take(.stopAsked(.exit, signal: .terminate))
        script.take(.died(pid: 200, Death(status: 11)), at: 7900)
        script.take(.congested(ServiceID(0)))
        script.take(.died(pid: 100, Death(status: 15)))
        #expect(
            script.take(.timePassed, at: 8500).deeds == [
                .start(ServiceID(0), .logger(a), checks: true)
            ])
        #expect(
            script.take(.started(ServiceID(0), pid: 201)).deeds == [
                .closeReader(a), .signalOthers([.kill], sparing: [201]),
            ])
    }

    @Test("svscan whose directory never appeared ends with 111")
    func neverThere() {
        var script = Script()
        script.take(.began)
        script.take(.notListed(Complaint("unable to read directory", errno: 2)))
        #expect(
            script.take(.stopAsked(.exit, signal: .terminate)) == [
                .expectChildren, .end(.exit, exitCode: 111),
            ])
    }

    @Test("During the stop nothing is looked at")
    func noScanInTheStop() {
        var script = Script.oneUp()
        script.take(.stopAsked(.exit, signal: .terminate))
        #expect(script.take(.directoryChanged, at: 5000) == [])
        #expect(script.take(.rescanAsked) == [])
        #expect(script.list([("b", 2)]) == [])
    }
}
