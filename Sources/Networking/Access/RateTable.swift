import Bytes
import Formats

/// Token buckets for as many networks as fit a fixed table, so that no number of clients makes it grow.
///
/// A bucket is one number, the time at which it will be full again (the generic cell rate algorithm).
/// One that is full needs no entry; where the table is too small the bucket nearest to full gives way,
/// which forgives its network the little it had taken.
final class RateTable {
    private struct Entry {
        var network = IPAddress(ipv4: 0)
        var fullAt: UInt64 = 0
    }

    /// Places that a network may have, beside each other.
    private static let ways = 8
    private static let sets = 512
    /// Nobody outside knows which networks share their places.
    private let seed = UInt64.random(in: .min ... .max)
    /// Made when there is a first rate.
    private var entries: [Entry] = []

    /// Takes a token for `peer`; false when there is none. `now` is in nanoseconds.
    func take(_ peer: IPAddress, _ rate: Rate, now: UInt64) -> Bool {
        if rate.count == 0 { return false }
        if entries.isEmpty {
            entries = [Entry](repeating: Entry(), count: RateTable.ways * RateTable.sets)
        }
        let network = rate.prefix(of: peer)
        let index = place(of: network)
        let entry = entries[index]
        let whole = rate.seconds * 1_000_000_000
        let token = max(whole / rate.count, 1)
        let fullAt = entry.network == network ? max(entry.fullAt, now) : now
        guard fullAt + token <= now + whole else { return false }
        entries[index] = Entry(network: network, fullAt: fullAt + token)
        return true
    }

    /// Where the network is, or may be put.
    private func place(of network: IPAddress) -> Int {
        let first = Int(hash(network) % UInt64(RateTable.sets)) * RateTable.ways
        var best = first
        for index in first..<(first + RateTable.ways) {
            if entries[index].network == network { return index }
            if entries[index].fullAt < entries[best].fullAt { best = index }
        }
        return best
    }

    private func hash(_ network: IPAddress) -> UInt64 {
        var hash = seed
        for part in [network.high, network.low] {
            hash = (hash ^ part) &* 0x9e37_79b9_7f4a_7c15
            hash ^= hash >> 32
        }
        return hash
    }
}
