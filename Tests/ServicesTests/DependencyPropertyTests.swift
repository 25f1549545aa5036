import Bytes
import Testing

@testable import Services

/// The same answers by the plainest means: every bundle is written out, every path is followed.
private struct NaiveGraph {
    typealias Relation = DependencyGraph.Relation

    let definitions: [ByteString: ServiceDefinition]
    /// By the name of a service, what comes before it.
    var before: [ByteString: [ByteString: Relation]] = [:]

    init(_ definitions: [ByteString: ServiceDefinition]) {
        self.definitions = definitions
        for (name, definition) in definitions {
            for service in contents(of: name) {
                add(service, definition.needs, .needs)
                add(service, definition.wants, .wants)
                add(service, definition.after, .after)
                for other in definition.before {
                    for later in contents(of: other) { add(later, [service], .after) }
                }
            }
        }
    }

    /// The services that a name stands for.
    func contents(of name: ByteString) -> Set<ByteString> {
        var seen: Set<ByteString> = []
        var found: Set<ByteString> = []
        func visit(_ name: ByteString) {
            guard let definition = definitions[name], seen.insert(name).inserted else { return }
            if definition.kind != .bundle { found.insert(name) }
            if definition.kind == .bundle { definition.contents.forEach(visit) }
        }
        visit(name)
        return found
    }

    private mutating func add(_ service: ByteString, _ names: [ByteString], _ relation: Relation) {
        for name in names {
            for other in contents(of: name) {
                let known = before[service]?[other] ?? relation
                let strongest = min(known.rawValue, relation.rawValue)
                before[service, default: [:]][other] = Relation(rawValue: strongest)
            }
        }
    }

    func prerequisites(of name: ByteString) -> [ByteString: Relation] {
        guard definitions[name]?.kind == .bundle else { return before[name] ?? [:] }
        return contents(of: name).reduce(into: [:]) { $0[$1] = .needs }
    }

    /// All that paths of these relations lead to.
    func reach(_ name: ByteString, _ relations: Set<Relation>) -> Set<ByteString> {
        var found: Set<ByteString> = []
        func visit(_ name: ByteString) {
            for (other, relation) in prerequisites(of: name) where relations.contains(relation) {
                if found.insert(other).inserted { visit(other) }
            }
        }
        visit(name)
        return found
    }

    /// The names that a bundle leads to by `contents`, itself only when it is among them.
    private func parts(of name: ByteString) -> Set<ByteString> {
        var found: Set<ByteString> = []
        func visit(_ name: ByteString) {
            guard let definition = definitions[name], definition.kind == .bundle else { return }
            for other in definition.contents where found.insert(other).inserted { visit(other) }
        }
        visit(name)
        return found
    }

    /// Whether it is at fault itself.
    private func isAtFault(_ name: ByteString) -> Bool {
        guard let definition = definitions[name] else { return true }
        if definition.kind == .bundle {
            let parts = parts(of: name)
            // A circle of bundles anywhere in it, or a name that is none.
            return parts.contains { definitions[$0] == nil || self.parts(of: $0).contains($0) }
                || parts.contains(name)
        }
        if reach(name, [.needs, .wants, .after]).contains(name) { return true }
        let holders = definitions.filter { $0.key == name || parts(of: $0.key).contains(name) }
        return holders.values.contains { holder in
            holder.needs.contains { isUnusable($0) }
        }
    }

    /// Whether a name can be needed by nobody, whatever the services in it are like.
    private func isUnusable(_ name: ByteString) -> Bool {
        guard let definition = definitions[name] else { return true }
        return definition.kind == .bundle && isAtFault(name)
    }

    func isBroken(_ name: ByteString) -> Bool {
        isAtFault(name) || reach(name, [.needs]).contains { isAtFault($0) }
    }
}

@Suite("Dependencies, against the plainest reading") struct DependencyPropertyTests {
    private func randomDefinitions(_ random: inout RandomNumbers) -> [ByteString: ServiceDefinition]
    {
        let count = 1 + random.below(9)
        let density = 1 + random.below(4)
        var all: [ByteString: ServiceDefinition] = [:]
        func names() -> [ByteString] {
            (0..<random.below(density)).map { _ in
                random.below(25) == 0 ? "gone" : "s\(random.below(count))"
            }
        }
        for index in 0..<count {
            var definition = ServiceDefinition.plain
            // Mostly one way, so that many are whole.
            let isFree = random.below(4) == 0
            func chosen() -> [ByteString] {
                names().filter { isFree || $0 < "s\(index)" }
            }
            definition.needs = chosen()
            if random.below(2) == 0 { definition.wants = chosen() }
            if random.below(2) == 0 { definition.after = chosen() }
            if random.below(4) == 0 { definition.before = isFree ? names() : [] }
            if random.below(3) == 0 {
                definition.kind = .bundle
                definition.contents = chosen()
            }
            all["s\(index)"] = definition
        }
        return all
    }

    @Test("Two thousand random sets of definitions", arguments: 0..<10)
    func property(seed: Int) {
        var random = RandomNumbers(seed: UInt64(seed))
        var (whole, broken) = (0, 0)
        for _ in 0..<200 {
            let definitions = randomDefinitions(&random)
            let graph = DependencyGraph(definitions)
            let naive = NaiveGraph(definitions)
            var hasFault = false
            for name in definitions.keys {
                let found = graph.prerequisites(of: name)
                let expected = naive.prerequisites(of: name)
                #expect(found.map(\.name) == expected.keys.sorted { $0 < $1 })
                #expect(found.allSatisfy { expected[$0.name] == $0.relation })

                let needing = definitions.keys.filter { other in
                    definitions[other]?.kind != .bundle
                        && naive.contents(of: other).contains(other)
                        && directlyNeeds(other, name, definitions, naive)
                }
                #expect(graph.dependents(on: name) == needing.sorted { $0 < $1 })

                #expect(graph.isBroken(name) == naive.isBroken(name), "\(name) \(definitions)")
                if graph.isBroken(name) {
                    (hasFault, broken) = (true, broken + 1)
                } else {
                    whole += 1
                }
                check(graph.closure(of: name), of: name, naive)
            }
            if hasFault { #expect(!graph.problems.isEmpty) }
            #expect(graph == DependencyGraph(definitions))
        }
        // The draw is worth something only if it has both.
        #expect(whole > 100 && broken > 100)
    }

    private func directlyNeeds(
        _ other: ByteString, _ name: ByteString, _ definitions: [ByteString: ServiceDefinition],
        _ naive: NaiveGraph
    ) -> Bool {
        if definitions[name]?.kind != .bundle { return naive.before[other]?[name] == .needs }
        // A bundle is needed by name, or by the name of one that it is in.
        return definitions.contains { holder, definition in
            naive.contents(of: holder).contains(other)
                && definition.needs.contains { $0 == name || holds($0, name, definitions) }
        }
    }

    private func holds(
        _ bundle: ByteString, _ name: ByteString, _ definitions: [ByteString: ServiceDefinition]
    ) -> Bool {
        var seen: Set<ByteString> = []
        var open = [bundle]
        while let next = open.popLast() {
            guard definitions[next]?.kind == .bundle, seen.insert(next).inserted else { continue }
            for part in definitions[next]?.contents ?? [] {
                if part == name { return true }
                open.append(part)
            }
        }
        return false
    }

    private func check(_ closure: [ByteString], of name: ByteString, _ naive: NaiveGraph) {
        #expect(closure.last == name)
        var expected = naive.reach(name, [.needs, .wants])
        expected.insert(name)
        #expect(Set(closure) == expected)
        #expect(Set(closure).count == closure.count)
        for (place, member) in closure.enumerated() where !naive.isBroken(member) {
            for earlier in naive.prerequisites(of: member).keys where expected.contains(earlier) {
                #expect(closure[..<place].contains(earlier), "\(earlier) before \(member)")
            }
        }
    }
}

/// SplitMix64, so that a failing draw can be repeated.
struct RandomNumbers {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func below(_ bound: Int) -> Int {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return Int((value ^ (value >> 31)) % UInt64(bound))
    }
}
