import Testing

@testable import Services

private let ask = CompanionQueue.Request.signal(pid: 7, .hangup, .process, asking: 0x68)
private let bare = CompanionQueue.Request.signal(pid: 7, .continue, .group, asking: nil)
private let sendHangup = CompanionQueue.Step.send(pid: 7, .hangup, .process)
private let second: UInt64 = 1_000_000_000

@Suite("The queue of a service's companions") struct CompanionQueueTests {
    private func asking(_ requests: CompanionQueue.Request...) -> CompanionQueue {
        var queue = CompanionQueue()
        for request in requests { queue.add(request) }
        _ = queue.next()
        _ = queue.note(.started(pid: 9), limit: 5 * second, at: 0)
        return queue
    }

    @Test("A signal without a letter is sent at once")
    func bareSignal() {
        var queue = CompanionQueue()
        queue.add(bare)
        #expect(queue.next() == .send(pid: 7, .continue, .group))
        #expect(queue.next() == nil)
        #expect(queue == CompanionQueue())
    }

    @Test(
        "The answer decides",
        arguments: [
            (Death(status: 0), nil), (Death(status: 1 << 8), sendHangup),
            (Death(status: 9), sendHangup),
            (Death(status: 0, startError: 13), sendHangup),
        ])
    func answer(death: Death, step: CompanionQueue.Step?) {
        var queue = asking(ask)
        #expect(queue.pid == 9)
        #expect(queue.next() == nil)
        #expect(queue.noteEnd(death) == step)
        #expect(queue.requests.isEmpty && queue.state == .idle)
    }

    @Test("What comes after waits for its turn")
    func order() {
        var queue = asking(ask, bare, .word(0x64))
        #expect(queue.next() == nil)
        #expect(queue.noteEnd(Death(status: 1 << 8)) == sendHangup)
        #expect(queue.next() == .send(pid: 7, .continue, .group))
        #expect(queue.next() == .start(.control(0x64)))
        #expect(queue.note(.absent, limit: 0, at: 0) == nil)
        #expect(queue.requests.isEmpty)
    }

    @Test("Where there is no program, the signal is sent")
    func absent() {
        var queue = CompanionQueue()
        queue.add(ask)
        #expect(queue.next() == .start(.control(0x68)))
        #expect(queue.note(.absent, limit: 0, at: 0) == sendHangup)
    }

    @Test("Where there is no room, it is tried again")
    func congested() {
        var queue = CompanionQueue()
        queue.add(ask)
        _ = queue.next()
        #expect(queue.note(.congested, limit: 0, at: second) == nil)
        #expect(queue.deadline == second + ServiceMachine.longCongestion)
        #expect(queue.next() == nil)
        #expect(queue.passTime(at: second) == nil)
        #expect(queue.next() == nil)
        #expect(queue.passTime(at: 2 * second) == nil)
        #expect(queue.next() == .start(.control(0x68)))
    }

    @Test("A program that takes too long is killed, again and again")
    func limit() {
        var queue = asking(ask)
        #expect(queue.deadline == 5 * second)
        #expect(queue.passTime(at: 5 * second - 1) == nil)
        #expect(queue.passTime(at: 5 * second) == 9)
        #expect(queue.deadline == 5 * second + ServiceMachine.killInterval)
        #expect(queue.noteEnd(Death(status: 9)) == sendHangup)
        #expect(queue.deadline == nil)
    }

    @Test("Nobody waits for the end of a notice")
    func notice() {
        let notice = Companion.notify(.run, nil, pid: 7)
        var queue = CompanionQueue()
        queue.add(.notice(notice))
        #expect(queue.next() == .start(notice))
        #expect(queue.note(.started(pid: 9), limit: second, at: 0) == nil)
        #expect(queue == CompanionQueue())
    }

    @Test("A flood of one command waits once, and any flood has an end")
    func flood() {
        var queue = asking(ask)
        for _ in 0..<100 { queue.add(ask) }
        #expect(queue.requests == [ask, ask])
        for pid in 0..<200 { queue.add(.notice(.notify(.run, nil, pid: Int32(pid)))) }
        #expect(queue.requests.count == CompanionQueue.most)
    }
}

@Suite("A conductor with companions") struct ConductorCompanionTests {
    private func script(_ programs: ServiceDefinition.Programs) -> Script {
        var definition = ServiceDefinition()
        definition.programs = programs
        var script = Script()
        script.take(.began)
        script.list([("a", 1)])
        script.take(.examined(PairID(0), log: nil))
        script.take(.opened(ServiceID(0), isDown: false, definition))
        return script
    }

    private func companions(_ actions: [Action]) -> [Companion] {
        actions.compactMap {
            if case .accompany(_, _, let companion, _) = $0 { companion } else { nil }
        }
    }

    private func signals(_ actions: [Action]) -> [ServiceSignal] {
        actions.compactMap { if case .signal(_, let signal, _) = $0 { signal } else { nil } }
    }

    @Test("Down asks t, sends TERM and CONT, and asks d")
    func down() {
        var script = script([.run, .control])
        script.take(.started(ServiceID(0), pid: 100))
        var actions = script.take(.commanded(ServiceID(0), .down))
        #expect(companions(actions) == [.control(0x74)])
        #expect(signals(actions) == [])
        script.take(.accompanied(ServiceID(0), .started(pid: 50)))
        actions = script.take(.died(pid: 50, Death(status: 1 << 8)))
        #expect(signals(actions) == [.terminate, .continue])
        #expect(companions(actions) == [.control(0x64)])
        actions = script.take(.accompanied(ServiceID(0), .absent))
        #expect(companions(actions) == [])
    }

    @Test("A program that answers leaves only CONT")
    func answered() {
        var script = script([.run, .control])
        script.take(.started(ServiceID(0), pid: 100))
        script.take(.commanded(ServiceID(0), .down))
        script.take(.accompanied(ServiceID(0), .started(pid: 50)))
        #expect(signals(script.take(.died(pid: 50, Death(status: 0)))) == [.continue])
    }

    @Test("Nothing is sent to another process than the one that was meant")
    func gone() {
        var script = script([.run, .control])
        script.take(.started(ServiceID(0), pid: 100))
        script.take(.commanded(ServiceID(0), .hangup))
        script.take(.accompanied(ServiceID(0), .started(pid: 50)))
        script.take(.died(pid: 100, Death(status: 0)))
        script.take(.timePassed, at: 1000)
        script.take(.started(ServiceID(0), pid: 101))
        #expect(signals(script.take(.died(pid: 50, Death(status: 1 << 8)))) == [])
    }

    @Test("A program that hangs is killed in time")
    func hangs() {
        var script = script([.run, .control])
        script.take(.started(ServiceID(0), pid: 100))
        script.take(.commanded(ServiceID(0), .hangup))
        script.take(.accompanied(ServiceID(0), .started(pid: 50)))
        #expect(script.deadline == 60_000)
        #expect(script.take(.timePassed, at: 60_000).contains(.signal(pid: 50, .kill)))
    }

    @Test("u comes before each run")
    func announce() {
        var script = script([.run, .control, .announce])
        func role(_ actions: [Action]) -> ProgramRole? {
            for case .start(_, _, let launch, _) in actions { return launch.role }
            return nil
        }
        var actions = script.take(.started(ServiceID(0), pid: 40))
        #expect(companions(actions) == [])
        actions = script.take(.died(pid: 40, Death(status: 1 << 8)))
        #expect(role(actions) == .run)
        script.take(.congested(ServiceID(0)))
        #expect(role(script.take(.timePassed, at: 100)) == .run)
        script.take(.started(ServiceID(0), pid: 41))
        script.take(.died(pid: 41, Death(status: 0)))
        #expect(role(script.take(.timePassed, at: 2000)) == .announce)
    }

    @Test("notify is told of starts and ends")
    func notify() {
        var script = script([.run, .notify])
        var actions = script.take(.started(ServiceID(0), pid: 100))
        #expect(companions(actions) == [.notify(.run, nil, pid: 100)])
        script.take(.accompanied(ServiceID(0), .started(pid: 50)))
        let death = Death(status: 3 << 8)
        actions = script.take(.died(pid: 100, death))
        #expect(companions(actions) == [.notify(.run, death, pid: 100)])
    }

    @Test("What is under way survives a snapshot")
    func snapshot() throws {
        var script = script([.run, .control, .notify])
        script.take(.started(ServiceID(0), pid: 100))
        for command in [Command.hangup, .down, .exit] {
            script.take(.commanded(ServiceID(0), command))
        }
        #expect(try Conductor(snapshot: script.conductor.snapshot()) == script.conductor)
        script.take(.accompanied(ServiceID(0), .started(pid: 50)))
        script.take(.accompanied(ServiceID(0), .started(pid: 51)))
        #expect(try Conductor(snapshot: script.conductor.snapshot()) == script.conductor)
        script.take(.died(pid: 51, Death(status: 1 << 8)))
        script.take(.accompanied(ServiceID(0), .congested))
        #expect(try Conductor(snapshot: script.conductor.snapshot()) == script.conductor)
    }
}
