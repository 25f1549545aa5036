import Linux
import Testing

@testable import Init

@Suite("The orderly stop")
struct ShutdownTests {
    /// A stop of eight seconds, so that an eighth is a second.
    private func begin() -> Shutdown {
        Shutdown(start: Instant(nanoseconds: 0), limit: 8000)
    }

    private func seconds(_ seconds: Double) -> Instant {
        Instant(nanoseconds: UInt64(seconds * 1e9))
    }

    private func state(_ services: Int, _ loggers: Int, _ hasChildren: Bool = true)
        -> Shutdown.State
    { Shutdown.State(services: services, loggers: loggers, hasChildren: hasChildren) }

    @Test("Nothing to stop: over at once")
    func empty() {
        var shutdown = begin()
        #expect(shutdown.next(state(0, 0, false), at: seconds(0)) == [.end])
        #expect(shutdown.deadline == nil)
        #expect(shutdown.next(state(0, 0, false), at: seconds(9)) == [])
    }

    @Test(
        "Well-behaved services: each step as soon as the one before is done, no force, no waiting")
    func wellBehaved() {
        var shutdown = begin()
        #expect(shutdown.next(state(2, 2), at: seconds(0)) == [])
        #expect(shutdown.next(state(1, 2), at: seconds(0.1)) == [])
        #expect(shutdown.next(state(0, 2), at: seconds(0.2)) == [.terminateStrays])
        #expect(shutdown.next(state(0, 1), at: seconds(0.3)) == [])
        #expect(shutdown.next(state(0, 0), at: seconds(0.4)) == [])
        #expect(shutdown.next(state(0, 0, false), at: seconds(0.5)) == [.end])
    }

    @Test("A service that ignores TERM is killed at half of the limit")
    func stubbornService() {
        var shutdown = begin()
        #expect(shutdown.next(state(1, 1), at: seconds(0)) == [])
        #expect(shutdown.deadline == seconds(4))
        #expect(shutdown.next(state(1, 1), at: seconds(3.999)) == [])
        #expect(shutdown.next(state(1, 1), at: seconds(4)) == [.killServices])
        #expect(shutdown.next(state(1, 1), at: seconds(4.1)) == [])
        #expect(shutdown.next(state(0, 1), at: seconds(4.2)) == [.terminateStrays])
        #expect(shutdown.next(state(0, 0, false), at: seconds(4.3)) == [.end])
    }

    @Test("A stray that ignores TERM is killed at three quarters, its logger is left to finish")
    func stubbornStray() {
        var shutdown = begin()
        #expect(shutdown.next(state(0, 1), at: seconds(0)) == [.terminateStrays])
        #expect(shutdown.deadline == seconds(6))
        #expect(shutdown.next(state(0, 1), at: seconds(6)) == [.killStrays])
        #expect(shutdown.next(state(0, 1), at: seconds(6.1)) == [])
        #expect(shutdown.deadline == seconds(7))
        #expect(shutdown.next(state(0, 0, false), at: seconds(6.2)) == [.end])
    }

    @Test("A logger whose input never ends gets TERM, then everything KILL, then it ends anyway")
    func everythingIsStuck() {
        var shutdown = begin()
        #expect(shutdown.next(state(1, 1), at: seconds(4)) == [.killServices])
        #expect(shutdown.next(state(1, 1), at: seconds(6)) == [.terminateStrays, .killStrays])
        #expect(shutdown.next(state(1, 1), at: seconds(7)) == [.terminateLoggers])
        #expect(shutdown.deadline == seconds(8))
        #expect(shutdown.next(state(1, 1), at: seconds(8)) == [.killEverything])
        #expect(shutdown.deadline == seconds(8.25))
        #expect(shutdown.next(state(1, 1), at: seconds(8.25)) == [.killEverything])
        #expect(shutdown.next(state(1, 1), at: seconds(8.5)) == [.end])
    }

    @Test("A late look catches up with everything that is due")
    func late() {
        var shutdown = begin()
        #expect(
            shutdown.next(state(1, 1), at: seconds(60)) == [
                .killServices, .terminateStrays, .killStrays, .terminateLoggers, .killEverything,
                .killEverything, .end,
            ])
    }

    @Test("A second request to stop kills at once")
    func hurry() {
        var shutdown = begin()
        #expect(shutdown.next(state(1, 1), at: seconds(0)) == [])
        shutdown.hurry(at: seconds(1))
        #expect(shutdown.next(state(1, 1), at: seconds(1)) == [.killEverything])
        #expect(shutdown.next(state(0, 0, false), at: seconds(1.01)) == [.end])
        shutdown.hurry(at: seconds(2))
        #expect(shutdown.next(state(0, 0, false), at: seconds(2)) == [])
    }

    @Test("Whatever happens when, it ends by itself within the limit and half a second")
    func alwaysEnds() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            var shutdown = begin()
            var now = 0.0
            var services = Int.random(in: 0...3, using: &generator)
            var loggers = Int.random(in: 0...3, using: &generator)
            var ended = false
            while !ended && now < 20 {
                ended = shutdown.next(state(services, loggers), at: seconds(now)).contains(.end)
                if Bool.random(using: &generator) { services = max(0, services - 1) }
                if Bool.random(using: &generator) { loggers = max(0, loggers - 1) }
                guard let deadline = shutdown.deadline else { break }
                let due = Double(deadline.nanoseconds) / 1e9
                now = max(now, Bool.random(using: &generator) ? due : now + 0.1)
            }
            #expect(ended)
            #expect(now <= 8.61)
        }
    }
}
