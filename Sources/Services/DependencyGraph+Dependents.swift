import Bytes

extension DependencyGraph {
    /// All services that need one of `names`, themselves or through others, without these; by name.
    public func allDependents(on names: [ByteString]) -> [ByteString] {
        let given = Set(names)
        var found: Set<ByteString> = []
        var open = names
        while let name = open.popLast() {
            for dependent in dependents(on: name)
            where !given.contains(dependent) && found.insert(dependent).inserted {
                open.append(dependent)
            }
        }
        var sorted = Array(found)
        sorted.sortByBytes()
        return sorted
    }

    /// The services among `names` in the order of a stop: one group after another, each with those that none of the later
    /// groups needs. Those that need one another in a circle are in one group.
    public func stopOrder(of names: [ByteString]) -> [[ByteString]] {
        var places: [ByteString: Int] = [:]
        for (index, name) in names.enumerated() { places[name] = index }
        var needing = [Int](repeating: 0, count: names.count)
        var first: [[Int]] = names.map { _ in [] }
        for (index, name) in names.enumerated() {
            for dependent in dependents(on: name) where dependent != name {
                guard let other = places[dependent] else { continue }
                needing[index] += 1
                first[other].append(index)
            }
        }
        var groups: [[ByteString]] = []
        var left = names.count
        var group = needing.indices.filter { needing[$0] == 0 }
        while left > 0 {
            if group.isEmpty { group = needing.indices.filter { needing[$0] > 0 } }
            for index in group { needing[index] = -1 }
            var next: [Int] = []
            for index in group {
                for other in first[index] where needing[other] > 0 {
                    needing[other] -= 1
                    if needing[other] == 0 { next.append(other) }
                }
            }
            left -= group.count
            groups.append(group.map { names[$0] })
            group = next
        }
        return groups
    }
}
