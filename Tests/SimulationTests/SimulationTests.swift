import Bytes
import Linux
import Testing

@testable import Supervision

/// Random events, as many as APUS_SIMULATION_EVENTS says (a million without it), from the seed
/// APUS_SIMULATION_SEED (a new one each time without it).
@Suite("Random event sequences") struct SimulationTests {
    private func number(_ name: ByteString) -> UInt64? {
        Environment.inherited[name].map { UInt64(scanDecimal($0.bytes).value) }
    }

    @Test("No sequence of events breaks an invariant of a service")
    func invariants() {
        let count = number("APUS_SIMULATION_EVENTS") ?? 1_000_000
        let seed = number("APUS_SIMULATION_SEED") ?? UInt64.random(in: 1...UInt64.max)
        var random = Random(seed: seed)
        var done: UInt64 = 0
        do {
            while done < count {
                var service = try SimulatedService(isDown: random.once(in: 3))
                let last = min(done + 1 + random.below(2000), count)
                while done < last && !service.isOver {
                    try service.advance(&random)
                    done += 1
                }
            }
        } catch {
            Issue.record("APUS_SIMULATION_SEED=\(seed), event \(done): \(error)")
        }
    }
}
