import Bytes

/// Clauses by the numbers of calls, lowest first.
struct ClauseTable: Equatable, Sendable {
    private(set) var entries: [(call: Int32, clauses: [Clause])] = []

    /// A call's clauses; none for a call of which nothing is said.
    subscript(call: Int32) -> [Clause] {
        get {
            let place = place(of: call)
            return has(call, at: place) ? entries[place].clauses : []
        }
        set {
            let place = place(of: call)
            if has(call, at: place) {
                entries[place].clauses = newValue
            } else {
                entries.insert((call, newValue), at: place)
            }
        }
    }

    /// Adds clauses that are looked at after those that a call has.
    mutating func append(_ clauses: [Clause], to call: Int32) {
        let place = place(of: call)
        if has(call, at: place) {
            // In place: a policy may have thousands of lines for one call.
            entries[place].clauses += clauses
        } else {
            entries.insert((call, clauses), at: place)
        }
    }

    var isEmpty: Bool { entries.isEmpty }

    func contains(_ call: Int32) -> Bool { has(call, at: place(of: call)) }

    static func == (left: ClauseTable, right: ClauseTable) -> Bool {
        left.entries.elementsEqual(right.entries) { $0 == $1 }
    }

    private func has(_ call: Int32, at place: Int) -> Bool {
        place < entries.count && entries[place].call == call
    }

    /// Where a call is or belongs.
    private func place(of call: Int32) -> Int {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].call < call { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
