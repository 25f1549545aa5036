import Bytes
import Testing

@testable import Services

@Suite("Why everything has ended")
struct ReasonTests {
    @Test("A stop that was asked for, in time and by force")
    func stopped() {
        var script = Script.oneUp()
        script.take(.stopAsked(.exit, signal: .terminate))
        script.take(.died(pid: 100, Death(status: 15)))
        #expect(script.conductor.reason == "everything has been stopped")
        script = Script.oneUp()
        script.take(.stopAsked(.exit, signal: .terminate))
        script.take(.stopAsked(.exit, signal: .terminate))
        script.take(.died(pid: 100, Death(status: 9)))
        #expect(script.conductor.reason == "services had to be killed")
    }

    @Test("No service directory was ever there")
    func noDirectory() {
        var script = Script()
        script.take(.began)
        script.take(.notListed(Complaint("unable to read directory", errno: 2)))
        script.take(.stopAsked(.exit, signal: .terminate))
        #expect(script.conductor.reason == "there was no service directory")
    }

    @Test("The main command, also one that was never started")
    func command() {
        var script = Script(hasScanDirectory: false, command: "c", reachesOthers: true)
        script.take(.began)
        script.take(.started(ServiceID(0), pid: 50))
        script.take(.died(pid: 50, Death(status: 3 << 8)))
        #expect(script.conductor.reason == "the command c has ended")
        script = Script(hasScanDirectory: false, command: "c", reachesOthers: true)
        script.take(.began)
        script.take(.refused(ServiceID(0), errno: 11))
        #expect(script.conductor.reason == "the command c has ended")
    }
}
