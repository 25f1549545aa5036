import Foundation
import Testing

@testable import Services

/// Random schedules in simulated worlds, until as many events as APUS_SIMULATION_EVENTS says have been handled (300,000
/// without it), from the seed APUS_SIMULATION_SEED (a new one each time without it).
@Suite("Random events in a simulated world") struct SimulationTests {
    private func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    @Test("No schedule breaks an invariant")
    func invariants() {
        let count = number("APUS_SIMULATION_EVENTS") ?? 300_000
        var seed = number("APUS_SIMULATION_SEED") ?? UInt64.random(in: 1...UInt64.max)
        var done = 0
        while done < count {
            let schedule = Schedule(seed: seed, length: 300)
            let world = World(schedule)
            do { try world.run() } catch {
                Issue.record("APUS_SIMULATION_SEED=\(seed): \(explain(schedule, error))")
                return
            }
            done += world.count
            seed &+= 1
        }
    }

    /// The shortest schedule found that fails, told in full.
    private func explain(_ schedule: Schedule, _ error: any Error) -> String {
        let shortest = schedule.shrunk(keeping: "\(error)")
        let (problem, trace) = World.outcome(of: shortest, isTraced: true)
        return """
            \(error)
            \(shortest.stimuli.count) of \(schedule.stimuli.count) stimuli are enough for: \(problem ?? "")
            \(shortest.kind), limit \(shortest.limit), reserve \(shortest.reserve), \
            batched \(shortest.isBatched), restored every \(shortest.restoreEvery)
            \(trace.suffix(120).joined(separator: "\n"))
            """
    }
}

extension World {
    /// What goes wrong, if anything does, and what happened until then if it is traced.
    static func outcome(of schedule: Schedule, isTraced: Bool) -> (problem: String?, trace: [String]) {
        let world = World(schedule, isTraced: isTraced)
        do {
            try world.run()
            return (nil, world.trace)
        } catch { return ("\(error)", world.trace) }
    }
}

extension Schedule {
    /// A schedule that fails too, without the parts that it takes not. Halves, quarters and so on are left out as long
    /// as something still goes wrong: delta debugging.
    func shrunk(keeping problem: String, attempts: Int = 1500) -> Schedule {
        let rule = problem.prefix { !$0.isNumber }
        var best = self
        var left = attempts
        var size = max(1, stimuli.count / 2)
        while left > 0 {
            var start = 0
            var hasShrunk = false
            while start < best.stimuli.count && left > 0 {
                var candidate = best
                candidate.stimuli.removeSubrange(start..<min(start + size, best.stimuli.count))
                left -= 1
                let outcome = World.outcome(of: candidate, isTraced: false)
                if outcome.problem?.hasPrefix(rule) == true {
                    best = candidate
                    hasShrunk = true
                } else {
                    start += size
                }
            }
            if size == 1 && !hasShrunk { break }
            size = max(1, size / 2)
        }
        return best
    }
}
