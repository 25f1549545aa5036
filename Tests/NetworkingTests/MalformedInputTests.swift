import Testing

@Suite("Input that others made")
struct MalformedInputTests {
    /// A generator that gives the same numbers every time.
    private struct Numbers: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ state >> 29
        }
    }

    @Test(
        "Seeds, and seeds with bytes changed, lost and doubled, are read in both ways alike",
        arguments: NetworkFormat.allCases)
    func changedSeeds(format: NetworkFormat) throws {
        let seeds = try format.seeds
        #expect(!seeds.isEmpty)
        var numbers = Numbers(state: 1)
        for seed in seeds {
            format.take(seed)
            for _ in 0..<200 {
                var changed = seed
                for _ in 0..<Int.random(in: 1...3, using: &numbers) where !changed.isEmpty {
                    let place = Int.random(in: 0..<changed.count, using: &numbers)
                    switch Int.random(in: 0..<3, using: &numbers) {
                    case 0: changed[place] = .random(in: .min ... .max, using: &numbers)
                    case 1: changed.removeSubrange(place...)
                    default: changed.insert(contentsOf: changed[..<place].suffix(40), at: place)
                    }
                }
                format.take(changed)
            }
        }
    }
}
