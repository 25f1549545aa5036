import Bytes
import Formats
import Linux

/// The children of the server, and for whom they work. What it takes to add, remove or count them does
/// not grow with how many there are.
struct Children {
    private struct Child {
        let peer: IPAddress
        /// Whether it has been denied, and only holds its client for a moment.
        var isDenied = false
    }

    /// How many children each network of one size has; kept once somebody has asked for that size.
    private struct Tally {
        let isIPv6: Bool
        let length: Int
        var counts: [IPAddress: Int] = [:]

        mutating func add(_ peer: IPAddress, _ change: Int) {
            guard peer.isIPv6 == isIPv6 else { return }
            let network = peer.prefix(length)
            let count = counts[network, default: 0] + change
            counts[network] = count == 0 ? nil : count
        }
    }

    /// More clients than this that are held at a time count as the others do.
    private static let deniedLimit = 100

    private var children: [ProcessID: Child] = [:]
    private var deniedCount = 0
    private var tallies: [Tally] = []

    /// How many work for a client that has not been denied.
    var count: Int { children.count - deniedCount }

    /// A child for `peer` runs.
    mutating func add(_ pid: ProcessID, for peer: IPAddress) {
        children[pid] = Child(peer: peer)
        tally(peer, 1)
    }

    /// The child has denied its client: it does not count any more.
    mutating func deny(_ pid: ProcessID) {
        guard let child = children[pid], !child.isDenied, deniedCount < Children.deniedLimit else {
            return
        }
        children[pid]?.isDenied = true
        deniedCount += 1
        tally(child.peer, -1)
    }

    /// A child has ended. Returns false when it is none of these.
    mutating func remove(_ pid: ProcessID) -> Bool {
        guard let child = children.removeValue(forKey: pid) else { return false }
        if child.isDenied { deniedCount -= 1 } else { tally(child.peer, -1) }
        return true
    }

    /// How many serve addresses that share their first `length` bits with `peer`.
    mutating func count(for peer: IPAddress, prefix length: Int) -> Int {
        let index =
            tallies.firstIndex { $0.isIPv6 == peer.isIPv6 && $0.length == length }
            ?? startTally(isIPv6: peer.isIPv6, length)
        return tallies[index].counts[peer.prefix(length), default: 0]
    }

    private mutating func startTally(isIPv6: Bool, _ length: Int) -> Int {
        var tally = Tally(isIPv6: isIPv6, length: length)
        for child in children.values where !child.isDenied { tally.add(child.peer, 1) }
        tallies.append(tally)
        return tallies.count - 1
    }

    private mutating func tally(_ peer: IPAddress, _ change: Int) {
        for index in tallies.indices { tallies[index].add(peer, change) }
    }
}
