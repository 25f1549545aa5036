import Bytes
import Linux
import Testing

@testable import Confinement

@Suite("Malformed policies")
struct MalformedPolicyTests {
    private let signs = Array("{}[]:;,@~|&=\"\\\n#0919-x\0".utf8)

    /// Changes some bytes: turned, taken out, put in, written twice.
    private func mutate(_ bytes: inout [UInt8], _ generator: inout Generator) {
        for _ in 0..<Int.random(in: 1...6, using: &generator) where !bytes.isEmpty {
            let place = Int.random(in: bytes.indices, using: &generator)
            let end = min(bytes.count, place + Int.random(in: 1...8, using: &generator))
            switch Int.random(in: 0..<5, using: &generator) {
            case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 1: bytes.removeSubrange(place..<end)
            case 2: bytes.insert(generator.pick(signs), at: place)
            case 3:
                bytes.insert(
                    contentsOf: bytes[place..<end],
                    at: Int.random(in: bytes.indices, using: &generator))
            default: bytes[place] = UInt8.random(in: 0...255, using: &generator)
            }
        }
    }

    @Test("The seeds are well formed", arguments: PolicyFormat.allCases)
    func seeds(_ format: PolicyFormat) throws {
        let seeds = try format.seeds
        #expect(seeds.count == 2)
        for seed in seeds {
            switch format {
            case .compiled: _ = try SystemCallFilter(file: seed, name: "seed")
            case .list: _ = try Policy(list: ByteString(seed), option: "seed")
            case .policy: _ = try PolicyReader.read(seed, file: "seed")
            case .profile:
                _ = try Profile.read(
                    seed, file: "seed", ProfileTarget(bounding: [], kernel: (6, 1)))
            }
        }
    }

    @Test("Cut off anywhere, they are read or refused", arguments: PolicyFormat.allCases)
    func truncated(_ format: PolicyFormat) throws {
        for seed in try format.seeds {
            for length in seed.indices { format.take(Array(seed[..<length])) }
        }
    }

    @Test("Changed at random, they are read or refused", arguments: PolicyFormat.allCases)
    func changed(_ format: PolicyFormat) throws {
        var generator = Generator(state: 6)
        let seeds = try format.seeds
        for _ in 0..<2000 {
            var bytes = generator.pick(seeds)
            mutate(&bytes, &generator)
            format.take(bytes)
        }
    }
}
