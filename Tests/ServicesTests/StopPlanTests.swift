import Testing

@testable import Services

/// A stop of ten seconds, two of which are kept for what comes after the services.
@Suite("The orderly stop") struct StopPlanTests {
    private func plan(reachesOthers: Bool = true) -> StopPlan {
        StopPlan(
            start: seconds(100),
            .init(limit: seconds(10), reserve: seconds(2), reachesOthers: reachesOthers))
    }

    private func seconds(_ seconds: Double) -> UInt64 { UInt64(seconds * 1e9) }

    private func left(_ services: Bool, _ loggers: Bool, _ anything: Bool = true)
        -> StopPlan.Remainder
    { StopPlan.Remainder(services: services, loggers: loggers, anything: anything) }

    @Test("Nothing to stop: over at once")
    func empty() {
        var plan = plan()
        #expect(plan.advance(left(false, false, false), at: seconds(100)) == [.end])
        #expect(plan.deadline == nil)
        #expect(plan.advance(left(false, false, false), at: seconds(120)) == [])
    }

    @Test(
        "Well-behaved services: each step as soon as the one before is done, no force, no waiting")
    func wellBehaved() {
        var plan = plan()
        #expect(plan.advance(left(true, true), at: seconds(100)) == [])
        #expect(plan.advance(left(false, true), at: seconds(100.2)) == [.terminateOthers])
        #expect(plan.advance(left(false, true), at: seconds(100.3)) == [])
        #expect(plan.advance(left(false, false), at: seconds(100.4)) == [])
        #expect(plan.advance(left(false, false, false), at: seconds(100.5)) == [.end])
    }

    @Test("A service that ignores TERM has all of the limit but the reserve")
    func stubbornService() {
        var plan = plan()
        #expect(plan.advance(left(true, true), at: seconds(100)) == [])
        #expect(plan.deadline == seconds(108))
        #expect(plan.advance(left(true, true), at: seconds(107.999)) == [])
        #expect(plan.advance(left(true, true), at: seconds(108)) == [.killServices])
        #expect(plan.deadline == seconds(108.5))
        #expect(plan.advance(left(true, true), at: seconds(108.1)) == [])
        #expect(plan.advance(left(false, true), at: seconds(108.2)) == [.terminateOthers])
        #expect(plan.advance(left(false, false, false), at: seconds(108.3)) == [.end])
    }

    @Test("Another process that ignores TERM is killed after a quarter of the reserve, no sooner")
    func stubbornOther() {
        var plan = plan()
        #expect(plan.advance(left(false, true), at: seconds(100)) == [.terminateOthers])
        #expect(plan.deadline == seconds(108.5))
        #expect(plan.advance(left(false, true), at: seconds(108.499)) == [])
        #expect(plan.advance(left(false, true), at: seconds(108.5)) == [.killOthers])
        #expect(plan.deadline == seconds(109))
        #expect(plan.advance(left(false, false, false), at: seconds(108.6)) == [.end])
    }

    @Test("A logger whose input never ends gets TERM, then everything KILL, then it ends anyway")
    func everythingIsStuck() {
        var plan = plan()
        #expect(plan.advance(left(true, true), at: seconds(108)) == [.killServices])
        #expect(
            plan.advance(left(true, true), at: seconds(108.5)) == [.terminateOthers, .killOthers])
        #expect(plan.advance(left(true, true), at: seconds(108.999)) == [])
        #expect(plan.advance(left(true, true), at: seconds(109)) == [.terminateLoggers])
        #expect(plan.deadline == seconds(110))
        #expect(plan.advance(left(true, true), at: seconds(110)) == [.killEverything])
        #expect(plan.deadline == seconds(110.25))
        #expect(plan.advance(left(true, true), at: seconds(110.25)) == [.killEverything])
        #expect(plan.deadline == seconds(110.5))
        #expect(plan.advance(left(true, true), at: seconds(110.5)) == [.end])
    }

    @Test("Where others are not reached, loggers have the reserve from the end of the services")
    func withoutOthers() {
        var plan = plan(reachesOthers: false)
        #expect(plan.advance(left(true, true), at: seconds(100)) == [])
        #expect(plan.advance(left(false, true), at: seconds(103)) == [])
        #expect(plan.deadline == seconds(104))
        #expect(plan.advance(left(false, true), at: seconds(104)) == [.terminateLoggers])
        #expect(plan.advance(left(false, true), at: seconds(104.999)) == [])
        #expect(plan.advance(left(false, true), at: seconds(105)) == [.killEverything])
    }

    @Test("A late look catches up with everything that is due")
    func late() {
        var plan = plan()
        #expect(
            plan.advance(left(true, true), at: seconds(160)) == [
                .killServices, .terminateOthers, .killOthers, .terminateLoggers, .killEverything,
                .killEverything, .end,
            ])
    }

    @Test("A second request kills the services at once and leaves the rest its reserve")
    func hurry() {
        var plan = plan()
        #expect(plan.advance(left(true, true), at: seconds(100)) == [])
        plan.hurry(at: seconds(101))
        #expect(plan.advance(left(true, true), at: seconds(101)) == [.killServices])
        #expect(plan.advance(left(false, true), at: seconds(101.1)) == [.terminateOthers])
        #expect(plan.deadline == seconds(101.5))
        plan.hurry(at: seconds(101.2))
        #expect(
            plan.advance(left(false, true), at: seconds(101.2)) == [
                .killOthers, .terminateLoggers, .killEverything,
            ])
        #expect(plan.deadline == seconds(101.45))
        #expect(plan.advance(left(false, false, false), at: seconds(101.3)) == [.end])
        plan.hurry(at: seconds(102))
        #expect(plan.advance(left(false, false, false), at: seconds(102)) == [])
    }

    @Test("A request close to the end does not put it off")
    func lateHurry() {
        var plan = plan()
        _ = plan.advance(left(true, true), at: seconds(107))
        plan.hurry(at: seconds(109))
        #expect(plan.end == seconds(110))
    }

    @Test("A reserve larger than the limit, or a limit of nothing, traps nowhere")
    func strangeBounds() {
        let endless = StopPlan(
            start: 0, .init(limit: .max, reserve: .max, reachesOthers: true))
        #expect(endless.deadline != nil)
        for (limit, reserve) in [(0, 0), (0, 5), (1, 5), (5, 5)] as [(Double, Double)] {
            var plan = StopPlan(
                start: 0,
                .init(limit: seconds(limit), reserve: seconds(reserve), reachesOthers: true))
            var now: UInt64 = 0
            while let deadline = plan.deadline, now <= seconds(20) {
                #expect(deadline <= seconds(limit + 0.5))
                now = max(now + 1_000_000, deadline)
                _ = plan.advance(left(true, true), at: now)
            }
        }
    }

    @Test("Whatever happens when, it ends by itself within the limit and half a second")
    func alwaysEnds() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            var plan = plan(reachesOthers: Bool.random(using: &generator))
            var now = seconds(100)
            var services = Int.random(in: 0...3, using: &generator)
            var loggers = Int.random(in: 0...3, using: &generator)
            var steps: [StopPlan.Step] = []
            while let deadline = plan.deadline, now <= seconds(120) {
                steps += plan.advance(left(services > 0, loggers > 0), at: now)
                if steps.last == .end { break }
                if Bool.random(using: &generator) { services = max(0, services - 1) }
                if Bool.random(using: &generator) { loggers = max(0, loggers - 1) }
                let step = Bool.random(using: &generator) ? seconds(0.001) : seconds(0.1)
                now = max(now + step, Bool.random(using: &generator) ? deadline : 0)
            }
            #expect(steps.last == .end)
            #expect(steps.count { $0 == .end } == 1)
            #expect(now <= seconds(110.61))
        }
    }
}
