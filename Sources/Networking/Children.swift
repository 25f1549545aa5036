import Bytes
import Formats
import Linux

/// The programs that run, and for whom.
struct Children {
    private var pids: [ProcessID] = []
    private var peers: [IPAddress] = []

    /// How many there are.
    var count: Int { pids.count }

    /// A child for `peer` runs.
    mutating func add(_ pid: ProcessID, for peer: IPAddress) {
        pids.append(pid)
        peers.append(peer)
    }

    /// A child has ended. Returns false when it is none of these.
    mutating func remove(_ pid: ProcessID) -> Bool {
        guard let index = pids.firstIndex(of: pid) else { return false }
        pids.swapAt(index, pids.count - 1)
        pids.removeLast()
        peers.swapAt(index, peers.count - 1)
        peers.removeLast()
        return true
    }

    /// How many serve addresses that share their first `length` bits with `peer`.
    func count(for peer: IPAddress, prefix length: Int) -> Int {
        let network = peer.prefix(length)
        return peers.reduce(0) { count, other in
            other.isIPv6 == network.isIPv6 && other.prefix(length) == network ? count + 1 : count
        }
    }
}
