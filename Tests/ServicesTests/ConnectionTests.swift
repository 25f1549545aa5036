import Bytes
import Formats
import Testing

@testable import Services

/// Services that the first to connect starts, written out.
@Suite("Start on connection") struct ConnectionTests {
    private let web = ServiceID(0)

    private func definition(_ change: (inout ServiceDefinition) -> Void = { _ in })
        -> ServiceDefinition
    {
        var definition = ServiceDefinition.plain
        definition.sockets = [.init(kind: .tcp, address: "127.0.0.1:80", name: "")]
        definition.startsOnConnection = true
        change(&definition)
        return definition
    }

    /// The only service of a supervisor, and what its opening leads to.
    private func open(_ definition: ServiceDefinition) -> (Script, [Action]) {
        var script = Script(hasScanDirectory: false, single: "web")
        script.take(.began)
        let actions = script.take(.opened(web, isDown: false, definition))
        return (script, actions)
    }

    private func starts(_ actions: [Action]) -> Bool {
        actions.contains { if case .start = $0 { true } else { false } }
    }

    private func reason(_ actions: [Action]) -> StatusDetails.Reason? {
        for case .writeStatus(_, let record) in actions.reversed() { return record.details?.reason }
        return nil
    }

    @Test("It waits, is started by a connection, and waits again after its end")
    func life() {
        var (script, actions) = open(definition())
        #expect(actions.contains(.awaitConnection(web)) && !starts(actions))
        #expect(reason(actions) == .connection)
        #expect(script.take(.timePassed, at: 5000) == [])
        actions = script.take(.connected(web))
        #expect(starts(actions))
        #expect(script.take(.connected(web)) == [], "Nobody waits for a second one.")
        script.take(.started(web, pid: 100))
        actions = script.take(.died(pid: 100, Death(status: 0)), at: 7000)
        #expect(actions.contains(.awaitConnection(web)) && !starts(actions))
        #expect(actions.remarks == [])
    }

    @Test("The rule of a second holds before the next wait")
    func rule() {
        var (script, actions) = open(definition())
        script.take(.connected(web))
        script.take(.started(web, pid: 100))
        actions = script.take(.died(pid: 100, Death(status: 0)), at: 400)
        #expect(!actions.contains(.awaitConnection(web)) && script.deadline == 1000)
        #expect(script.take(.timePassed, at: 1000).contains(.awaitConnection(web)))
    }

    @Test("Down closes what it holds, and a connection that was on its way starts nothing")
    func down() {
        var (script, actions) = open(definition())
        actions = script.take(.commanded(web, .down))
        #expect(actions.contains(.closeHeld(web)) && reason(actions) == .asked)
        #expect(script.take(.connected(web)) == [])
        actions = script.take(.commanded(web, .up))
        #expect(actions.contains(.awaitConnection(web)) && !starts(actions))
    }

    @Test("What it holds is closed once, when its process has ended")
    func closing() {
        var (script, _) = open(definition())
        script.take(.connected(web))
        script.take(.started(web, pid: 100))
        #expect(!script.take(.commanded(web, .down)).contains(.closeHeld(web)))
        #expect(script.take(.died(pid: 100, Death(status: 15))).contains(.closeHeld(web)))
        #expect(!script.take(.commanded(web, .down)).contains(.closeHeld(web)))
    }

    @Test("A restart closes nothing")
    func restart() {
        var (script, _) = open(definition { $0.startsOnConnection = false })
        script.take(.started(web, pid: 100))
        script.take(.commanded(web, .terminate))
        let actions = script.take(.died(pid: 100, Death(status: 15)), at: 3000)
        #expect(!actions.contains(.closeHeld(web)) && starts(actions))
    }

    @Test("Without a socket there is nothing to wait for")
    func noSocket() {
        let (_, actions) = open(definition { $0.sockets = [] })
        #expect(starts(actions))
    }

    @Test("A definition that changes is waited for anew, or not at all")
    func redefinition() {
        var (script, _) = open(definition())
        var changed = definition()
        changed.sockets[0] = .init(kind: .tcp, address: "127.0.0.1:81", name: "")
        #expect(script.take(.defined(web, changed)).contains(.awaitConnection(web)))
        changed.startsOnConnection = false
        #expect(starts(script.take(.defined(web, changed))))
    }

    @Test("A snapshot keeps the wait")
    func snapshot() throws {
        var (script, _) = open(definition())
        script.conductor = try Conductor(snapshot: script.conductor.snapshot())
        #expect(starts(script.take(.connected(web))))
    }
}
