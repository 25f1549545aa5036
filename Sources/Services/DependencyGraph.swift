import Bytes

/// Who has to come before whom, by the definitions of all services.
///
/// A bundle is nothing but a name for its contents: to need it is to need each of them, and what it needs, each of
/// them needs. So it stands in no answer but the last place of its own `closure`.
///
/// Building it takes time in proportion to what the definitions name, whatever the order; nothing recurses.
public struct DependencyGraph: Equatable, Sendable {
    /// How one waits for another, the strongest first.
    public enum Relation: UInt8, Sendable {
        /// It does not start, nor stay, without it.
        case needs
        /// It is brought up with it, and does without it if it must.
        case wants
        /// It waits for it if both are to be up.
        case after
    }

    /// What must come before a service.
    public struct Prerequisite: Equatable, Sendable {
        /// The service that comes first; never a bundle.
        public let name: ByteString
        /// The strongest of the relations to it.
        public let relation: Relation

        /// A service that comes first.
        public init(name: ByteString, relation: Relation) {
            self.name = name
            self.relation = relation
        }
    }

    /// What is wrong with the definitions taken together.
    public struct Problem: Equatable, Sendable {
        /// Whose definition is at fault.
        public let name: ByteString
        /// The setting that is: `needs`, `wants`, `after`, `before`, `contents` or `on-failure`; or the file
        /// `producer-for` or `consumer-for`.
        public let setting: ByteString
        /// The value of the setting that is: an unknown name, or the next in a cycle.
        public let value: ByteString
        /// What is wrong, for people.
        public let text: ByteString
    }

    /// The names of all definitions, in byte order; the place of a name is the number of its node.
    let names: [ByteString]
    let isBundle: [Bool]
    /// After the nodes of the names comes one for each bundle, which stands for what its contents inherit.
    let heirs: [Int]
    let forward: Edges
    let backward: Edges
    private(set) var broken: [Bool]
    private let pipelines: [ByteString: [ByteString]]
    /// What is wrong: names that nobody has, by the name of who says them, and then cycles.
    public let problems: [Problem]

    /// The graph of these definitions, by the names of their services.
    public init(_ definitions: [ByteString: ServiceDefinition]) {
        pipelines = definitions.pipelines
        var builder = Builder(definitions.namingMembers(of: pipelines))
        builder.addAll()
        names = builder.names
        isBundle = builder.isBundle
        heirs = builder.heirs
        let ends = builder.ends
        forward = Edges(ends, count: builder.nodeCount)
        backward = Edges(ends.map { $0.reversed }, count: builder.nodeCount)
        let cycles = Cycles(forward, names: names, isBundle: isBundle, heirs: heirs)
        problems = builder.problems + cycles.problems
        broken = builder.isIncomplete
        for node in names.indices where cycles.isInCycle[node] { broken[node] = true }
        spreadBreakage()
    }

    /// What must come before `name`, by name, each with the strongest of its relations. A bundle comes after its
    /// contents.
    public func prerequisites(of name: ByteString) -> [Prerequisite] {
        guard let node = node(name) else { return [] }
        if isBundle[node] {
            return sortedNames(services(in: [node])).map {
                Prerequisite(name: $0, relation: .needs)
            }
        }
        let needed = firsts(of: node, .needs)
        let wanted = firsts(of: node, .wants)
        var all = needed
        for first in wanted { all.insert(first) }
        for first in firsts(of: node, .after) { all.insert(first) }
        return all.sorted().map { first in
            let relation: Relation =
                needed.contains(first) ? .needs : wanted.contains(first) ? .wants : .after
            return Prerequisite(name: names[first], relation: relation)
        }
    }

    /// What a name stands for: itself, or what is in it if it is a bundle or a pipeline; nothing where nobody has it.
    public func services(named name: ByteString) -> [ByteString] {
        let nodes = node(name).map { [$0] } ?? (pipelines[name] ?? []).compactMap { node($0) }
        return sortedNames(services(in: nodes))
    }

    /// The services that directly need `name`, or a bundle that it is in, by name.
    public func dependents(on name: ByteString) -> [ByteString] {
        guard let node = node(name) else { return [] }
        var needing: [Int] = []
        for place in reachable([node], by: backward, along: { $0 == .contains }) {
            for edge in backward[place] where edge.kind == .needs { needing.append(edge.target) }
        }
        return sortedNames(
            reachable(needing, by: backward) { $0 == .inherits }.filter { isService($0) })
    }

    /// All that is to be brought up with `name`: what it needs and wants, and so on, each after what it waits for,
    /// itself last; empty if there is no such service. Names without a service are left out.
    public func closure(of name: ByteString) -> [ByteString] {
        guard let node = node(name) else { return [] }
        var isMember = [Bool](repeating: false, count: forward.count)
        for member in reachable([node], by: forward, along: { $0 != .after }) {
            isMember[member] = true
        }
        let order = forward.postorder(from: node)
        return order.filter { $0 == node || isService($0) && isMember[$0] }.map { names[$0] }
    }

    /// Whether it can never start: it waits for itself, or needs something that can never start or does not exist.
    public func isBroken(_ name: ByteString) -> Bool { node(name).map { broken[$0] } ?? true }
}

extension DependencyGraph {
    /// What leads from one node to another.
    enum EdgeKind: UInt8 {
        case needs, wants, after
        /// From a bundle to what is in it.
        case contains
        /// From what is in a bundle to the node of what all of it inherits.
        case inherits

        var relation: Relation? { Relation(rawValue: rawValue) }
    }

    /// An edge, seen from where it begins.
    struct Edge: Equatable, Sendable {
        private let number: Int32
        let kind: EdgeKind
        /// Whether it was said at its other end, by `before`.
        let isTurned: Bool
        var target: Int { Int(number) }

        init(to target: Int, _ kind: EdgeKind, isTurned: Bool) {
            number = Int32(target)
            self.kind = kind
            self.isTurned = isTurned
        }
    }

    /// An edge with the node that it begins at.
    struct Ends {
        let source: Int
        let edge: Edge

        var reversed: Ends {
            Ends(
                source: edge.target, edge: Edge(to: source, edge.kind, isTurned: edge.isTurned))
        }
    }

    private func node(_ name: ByteString) -> Int? { names.place(of: name) }

    private func isService(_ node: Int) -> Bool { node < names.count && !isBundle[node] }

    /// The services that a service has this relation to, by itself or by a bundle that it is in.
    private func firsts(of node: Int, _ relation: Relation) -> Set<Int> {
        var targets: [Int] = []
        for origin in reachable([node], by: forward, along: { $0 == .inherits }) {
            for edge in forward[origin] where edge.kind.relation == relation {
                targets.append(edge.target)
            }
        }
        return Set(services(in: targets))
    }

    /// The services that nodes stand for: themselves, or what is in them.
    private func services(in nodes: [Int]) -> [Int] {
        reachable(nodes, by: forward) { $0 == .contains }.filter { isService($0) }
    }

    private func sortedNames(_ nodes: [Int]) -> [ByteString] {
        nodes.sorted().map { names[$0] }
    }

    /// Each node that edges of some kinds lead to from `starts`, those included, once.
    private func reachable(
        _ starts: [Int], by edges: Edges, along isTaken: (EdgeKind) -> Bool
    ) -> [Int] {
        var seen: Set<Int> = []
        var list = starts.filter { seen.insert($0).inserted }
        var next = 0
        while next < list.count {
            for edge in edges[list[next]]
            where isTaken(edge.kind) && seen.insert(edge.target).inserted {
                list.append(edge.target)
            }
            next += 1
        }
        return list
    }

    /// Breaks whatever needs something broken.
    private mutating func spreadBreakage() {
        var open = broken.indices.filter { broken[$0] }
        while let node = open.popLast() {
            for edge in backward[node] where edge.kind != .wants && edge.kind != .after {
                if !broken[edge.target] {
                    broken[edge.target] = true
                    open.append(edge.target)
                }
            }
        }
    }

    /// Collects the edges.
    private struct Builder {
        let names: [ByteString]
        private let definitions: [ByteString: ServiceDefinition]
        private(set) var isBundle: [Bool] = []
        private(set) var heirs: [Int] = []
        private(set) var nodeCount: Int
        var ends: [Ends] = []
        var problems: [Problem] = []
        /// Whether a node needs what does not exist.
        var isIncomplete: [Bool]

        init(_ definitions: [ByteString: ServiceDefinition]) {
            var names = Array(definitions.keys)
            names.sortByBytes()
            self.names = names
            self.definitions = definitions
            nodeCount = names.count
            for (node, name) in names.enumerated() {
                let isBundle = definitions[name]?.kind == .bundle
                self.isBundle.append(isBundle)
                heirs.append(isBundle ? nodeCount : node)
                if isBundle { nodeCount += 1 }
            }
            isIncomplete = [Bool](repeating: false, count: nodeCount)
        }

        mutating func addAll() {
            for (node, name) in names.enumerated() {
                if let definition = definitions[name] { add(definition, node) }
            }
        }

        private mutating func add(_ definition: ServiceDefinition, _ node: Int) {
            add(definition.needs, .needs, node)
            add(definition.wants, .wants, node)
            add(definition.after, .after, node)
            for name in definition.before {
                if let other = names.place(of: name) { add(heirs[other], .after, node, true) }
            }
            if definition.kind == .bundle { addContents(definition.contents, node) }
            addPipeline(definition, node)
            if case .run(let name) = definition.onEnd { check(name, node, "on-end") }
            if case .run(let name) = definition.onFailure { check(name, node, "on-failure") }
        }

        /// Both ends have to agree on a pipe. Whoever writes needs whoever reads.
        private mutating func addPipeline(_ definition: ServiceDefinition, _ node: Int) {
            if let consumer = definition.consumer {
                add([consumer], .needs, node)
                if let other = definitions[consumer], !other.producers.contains(names[node]) {
                    complain(
                        node, "producer-for", consumer,
                        "no effect: \(consumer.visible) is no consumer for it")
                }
            }
            for producer in definition.producers
            where definitions[producer]?.consumer != names[node] {
                complain(
                    node, "consumer-for", producer,
                    definitions[producer] == nil
                        ? nil : "no effect: \(producer.visible) is no producer for it")
            }
        }

        private mutating func check(_ name: ByteString, _ node: Int, _ setting: ByteString) {
            if names.place(of: name) == nil { complain(node, setting, name) }
        }

        private mutating func add(_ others: [ByteString], _ kind: EdgeKind, _ node: Int) {
            for name in others {
                if let other = names.place(of: name) {
                    add(heirs[node], kind, other)
                } else if kind != .after {
                    if kind == .needs { isIncomplete[heirs[node]] = true }
                    complain(node, kind == .needs ? "needs" : "wants", name)
                }
            }
        }

        private mutating func addContents(_ contents: [ByteString], _ node: Int) {
            for name in contents {
                if let member = names.place(of: name) {
                    add(node, .contains, member)
                    add(heirs[member], .inherits, heirs[node])
                } else {
                    isIncomplete[node] = true
                    complain(node, "contents", name)
                }
            }
        }

        private mutating func add(
            _ source: Int, _ kind: EdgeKind, _ target: Int, _ isTurned: Bool = false
        ) {
            ends.append(Ends(source: source, edge: Edge(to: target, kind, isTurned: isTurned)))
        }

        private mutating func complain(
            _ node: Int, _ setting: ByteString, _ name: ByteString, _ text: ByteString? = nil
        ) {
            let problem = Problem(
                name: names[node], setting: setting, value: name,
                text: text ?? "unknown service \(name.visible)")
            if problems.last != problem { problems.append(problem) }
        }
    }
}

extension [ByteString] {
    /// Where `name` is in an array in byte order; nil when it is not there.
    fileprivate func place(of name: ByteString) -> Int? {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle] < name { low = middle + 1 } else { high = middle }
        }
        return low < count && self[low] == name ? low : nil
    }
}
