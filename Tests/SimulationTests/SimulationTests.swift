import Foundation
import Testing

@testable import Services

/// Random schedules in simulated worlds, until as many events as APUS_SIMULATION_EVENTS says have been handled (300,000
/// without it), from the seed APUS_SIMULATION_SEED (a new one each time without it). A schedule that fails is cut down
/// to what it takes, unless APUS_SIMULATION_SHRINK is 0.
@Suite("Random events in a simulated world") struct SimulationTests {
    private func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    /// How many threads there are.
    private static let lanes = 4

    @Test("No schedule breaks an invariant", arguments: 0..<UInt64(lanes))
    func invariants(lane: UInt64) {
        let count = (number("APUS_SIMULATION_EVENTS") ?? 300_000) / UInt64(Self.lanes)
        let given = number("APUS_SIMULATION_SEED")
        var seed = given.map { $0 &+ lane << 32 } ?? UInt64.random(in: 1...UInt64.max)
        var done = 0
        while done < Int(count) {
            let schedule = Schedule(seed: seed, length: 300)
            let world = World(schedule)
            do { try world.run() } catch {
                let text =
                    number("APUS_SIMULATION_SHRINK") == 0 ? "\(error)" : explain(schedule, error)
                Issue.record("APUS_SIMULATION_SEED=\(seed): \(text)")
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
            \(trace.suffix(400).joined(separator: "\n"))
            """
    }
}

extension World {
    /// What goes wrong, if anything does, and what happened until then if it is traced.
    static func outcome(of schedule: Schedule, isTraced: Bool) -> (
        problem: String?, trace: [String]
    ) {
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
