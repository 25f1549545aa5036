import Bytes

extension DependencyGraph {
    /// The edges that leave each node, side by side in one array.
    struct Edges: Equatable, Sendable {
        private var starts: [Int32]
        private var all: [Edge] = []

        /// The number of nodes.
        var count: Int { starts.count - 1 }

        /// Sorts the edges of `count` nodes by where they begin, and leaves the order else.
        init(_ ends: [Ends], count: Int) {
            starts = [Int32](repeating: 0, count: count + 1)
            for end in ends { starts[end.source + 1] += 1 }
            for node in 0..<count { starts[node + 1] += starts[node] }
            guard let first = ends.first else { return }
            all = [Edge](repeating: first.edge, count: ends.count)
            var next = starts
            for end in ends {
                all[Int(next[end.source])] = end.edge
                next[end.source] += 1
            }
        }

        subscript(node: Int) -> ArraySlice<Edge> {
            all[Int(starts[node])..<Int(starts[node + 1])]
        }

        /// The nodes that can be reached from `root`, each after all that it leads to unless that leads back to it.
        func postorder(from root: Int) -> [Int] {
            var order: [Int] = []
            var isSeen = [Bool](repeating: false, count: count)
            var path = [(node: root, rest: self[root])]
            isSeen[root] = true
            while let (node, rest) = path.last {
                guard let edge = rest.first else {
                    order.append(node)
                    path.removeLast()
                    continue
                }
                path[path.count - 1].rest = rest.dropFirst()
                if isSeen[edge.target] { continue }
                isSeen[edge.target] = true
                path.append((edge.target, self[edge.target]))
            }
            return order
        }
    }

    /// The nodes that lead back to themselves: Tarjan's strongly connected components, with a stack of its own.
    struct Cycles {
        /// The most names that a problem lists.
        private static let mostNames = 8

        private(set) var isInCycle: [Bool]
        private(set) var problems: [Problem] = []
        private let edges: Edges
        private let names: [ByteString]
        private let isBundle: [Bool]
        /// The node whose definition a node's edges are from.
        private var owners: [Int]
        /// The number of each node's component, once it is known.
        private var component: [Int]

        init(_ edges: Edges, names: [ByteString], isBundle: [Bool], heirs: [Int]) {
            self.edges = edges
            self.names = names
            self.isBundle = isBundle
            owners = [Int](repeating: 0, count: edges.count)
            for (owner, node) in heirs.enumerated() {
                owners[owner] = owner
                owners[node] = owner
            }
            isInCycle = [Bool](repeating: false, count: edges.count)
            component = [Int](repeating: -1, count: edges.count)
            find()
        }

        private mutating func find() {
            var indices = [Int](repeating: -1, count: edges.count)
            var lowest = indices
            var (next, components) = (0, 0)
            var pending: [Int] = []
            var path: [(node: Int, rest: ArraySlice<Edge>)] = []
            for root in 0..<edges.count where indices[root] < 0 {
                path.append((root, edges[root]))
                while let (node, rest) = path.last {
                    if indices[node] < 0 {
                        indices[node] = next
                        lowest[node] = next
                        next += 1
                        pending.append(node)
                    }
                    if let edge = rest.first {
                        path[path.count - 1].rest = rest.dropFirst()
                        if indices[edge.target] < 0 {
                            path.append((edge.target, edges[edge.target]))
                        } else if component[edge.target] < 0 {
                            lowest[node] = min(lowest[node], indices[edge.target])
                        }
                        continue
                    }
                    path.removeLast()
                    if let parent = path.last?.node {
                        lowest[parent] = min(lowest[parent], lowest[node])
                    }
                    if lowest[node] == indices[node] {
                        close(node, components, &pending)
                        components += 1
                    }
                }
            }
        }

        /// Takes the component that begins with `first` from the nodes that belong to none yet.
        private mutating func close(_ first: Int, _ number: Int, _ pending: inout [Int]) {
            var members: [Int] = []
            while let node = pending.popLast() {
                component[node] = number
                members.append(node)
                if node == first { break }
            }
            if members.count == 1 && !edges[first].contains(where: { $0.target == first }) {
                return
            }
            for node in members { isInCycle[node] = true }
            report(members.sorted(), number)
        }

        /// An edge of a cycle, with the definition that has it and whom it names there.
        private struct Link {
            let owner: Int
            let value: Int
            let edge: Edge
        }

        private mutating func report(_ members: [Int], _ number: Int) {
            let named = members.filter { $0 < names.count }
            let services = named.filter { !isBundle[$0] }
            let bundles = named.filter { isBundle[$0] }
            var inside: [Link] = []
            for node in members {
                for edge in edges[node] where component[edge.target] == number {
                    let (from, to) = (owners[node], owners[edge.target])
                    inside.append(
                        edge.isTurned
                            ? Link(owner: to, value: from, edge: edge)
                            : Link(owner: from, value: to, edge: edge))
                }
            }
            if services.isEmpty {
                // What the contents of bundles inherit goes in circles where they do: said once.
                guard let first = bundles.first,
                    let fault = inside.first(where: { $0.owner == first })
                else { return }
                let verb: ByteString =
                    bundles.count == 1 ? "contains itself" : "contain one another"
                problems.append(
                    Problem(
                        name: names[first], setting: "contents", value: names[fault.value],
                        text: "\(list(bundles)) \(verb)"))
                return
            }
            let relations = inside.filter { $0.edge.kind.relation != nil }
            guard let fault = relations.min(by: { $0.owner < $1.owner }) else { return }
            let isNeed = relations.allSatisfy { $0.edge.kind == .needs }
            var text = list(services)
            if services.count == 1 {
                text.append(isNeed ? " needs itself" : " waits for itself")
            } else {
                text.append(isNeed ? " need one another" : " wait for one another")
            }
            let owner = fault.owner
            let ways = bundles + (isBundle[owner] && !bundles.contains(owner) ? [owner] : [])
            if !ways.isEmpty { text.append(" by way of \(list(ways.sorted()))") }
            problems.append(
                Problem(
                    name: names[owner], setting: setting(fault.edge), value: names[fault.value],
                    text: text))
        }

        private func setting(_ edge: Edge) -> ByteString {
            switch edge.kind {
            case .needs: "needs"
            case .wants: "wants"
            case .after, .inherits: edge.isTurned ? "before" : "after"
            case .contains: "contents"
            }
        }

        /// Names as people enumerate them.
        private func list(_ nodes: [Int]) -> ByteString {
            var words = nodes.prefix(Cycles.mostNames).map { names[$0].visible }
            if nodes.count > words.count { words.append("\(nodes.count - words.count) others") }
            guard let last = words.popLast(), !words.isEmpty else {
                return nodes.first.map { names[$0].visible } ?? ""
            }
            return "\(ByteString(words, joinedBy: ", ")) and \(last)"
        }
    }
}
