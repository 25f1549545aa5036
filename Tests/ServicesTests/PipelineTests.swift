import Bytes
import Testing

@testable import Services

@Suite("Pipelines") struct PipelineTests {
    private func member(
        from producers: [ByteString] = [], to consumer: ByteString? = nil,
        called name: ByteString? = nil
    ) -> ServiceDefinition {
        var definition = ServiceDefinition.plain
        definition.producers = producers
        definition.consumer = consumer
        definition.pipelineName = name
        return definition
    }

    private func needing(_ name: ByteString) -> ServiceDefinition {
        var definition = ServiceDefinition.plain
        definition.needs = [name]
        return definition
    }

    private var three: [ByteString: ServiceDefinition] {
        [
            "a": member(to: "b"), "b": member(from: ["a"], to: "c"),
            "c": member(from: ["b"], called: "all"),
        ]
    }

    @Test("Whoever reads comes before whoever writes")
    func order() {
        let graph = DependencyGraph(three)
        #expect(graph.problems == [])
        #expect(graph.closure(of: "a") == ["c", "b", "a"])
        #expect(graph.dependents(on: "c") == ["b"])
    }

    @Test("The name of a pipeline stands for all that is in it")
    func name() {
        var definitions = three
        definitions["user"] = needing("all")
        let graph = DependencyGraph(definitions)
        #expect(graph.problems == [])
        #expect(graph.prerequisites(of: "user").map { $0.name } == ["a", "b", "c"])
        #expect(graph.services(named: "all") == ["a", "b", "c"])
        // A service by that name is meant where there is one.
        definitions["all"] = .plain
        #expect(
            DependencyGraph(definitions).prerequisites(of: "user").map { $0.name } == ["all"])
        definitions["all"] = nil
        definitions["c"]?.pipelineName = nil
        #expect(DependencyGraph(definitions).problems.map { $0.value } == ["all"])
    }

    @Test("A pipeline that leads back to itself has an end")
    func circle() {
        let graph = DependencyGraph([
            "a": member(from: ["b"], to: "b", called: "all"), "b": member(from: ["a"], to: "a"),
            "user": needing("all"),
        ])
        #expect(graph.isBroken("a") && graph.isBroken("b") && graph.isBroken("user"))
    }

    @Test("Where one end does not know of the other, both are told of")
    func disagreement() {
        let graph = DependencyGraph([
            "a": member(to: "b"), "b": .plain, "c": member(from: ["b", "x"]), "d": member(to: "y"),
        ])
        #expect(
            graph.problems.map { "\($0.name) \($0.setting) \($0.text)" as ByteString } == [
                "a producer-for no effect: b is no consumer for it",
                "c consumer-for no effect: b is no producer for it",
                "c consumer-for unknown service x", "d needs unknown service y",
            ])
        #expect(!graph.isBroken("a") && !graph.isBroken("c") && graph.isBroken("d"))
    }

    /// The ends that services are started with, in the order of their starts; these have a logger.
    private func ends(
        _ definitions: [(ByteString, ServiceDefinition)], logged: [Int] = []
    ) -> [ByteString: PipelineEnds] {
        var script = Script()
        script.take(.began)
        script.list(definitions.enumerated().map { ($1.0, UInt64($0 + 1)) })
        var actions: [Action] = []
        for index in definitions.indices {
            let log = logged.contains(index) ? Script.file(UInt64(90 + index)) : nil
            actions += script.take(.examined(PairID(index), log: log))
            if log != nil { actions += script.take(.piped(PairID(index))) }
        }
        var names: [ServiceID: ByteString] = [:]
        var found: [ByteString: PipelineEnds] = [:]
        var next = 0
        while next < actions.count {
            let action = actions[next]
            next += 1
            switch action {
            case .open(let id, let place, let name):
                names[id] = name
                var definition: ServiceDefinition?
                if case .entry = place { definition = definitions.first { $0.0 == name }?.1 }
                actions += script.take(.opened(id, isDown: false, definition))
            case .start(let id, _, let launch, _):
                found[names[id] ?? ""] = launch.pipeline
                actions += script.take(.started(id, pid: 100 + Int32(id.index)))
            default: break
            }
        }
        return found
    }

    @Test("Each is given its ends")
    func ends() {
        let found = ends(three.map { ($0.key, $0.value) })
        #expect(
            found == [
                "a": PipelineEnds(writes: "b"), "b": PipelineEnds(reads: "b", writes: "c"),
                "c": PipelineEnds(reads: "c"),
            ])
    }

    @Test("Nobody writes to what is not read, nor to a pipeline beside a logger")
    func noEnds() {
        #expect(ends([("a", member(to: "b")), ("b", .plain)])["a"] == PipelineEnds())
        let logged = ends([("a", member(to: "b")), ("b", member(from: ["a"]))], logged: [0])
        #expect(logged["a"] == PipelineEnds() && logged["a/log"] == PipelineEnds())
        #expect(logged["b"] == PipelineEnds(reads: "b"))
    }

    @Test("A definition comes back from a snapshot as it was")
    func snapshot() throws {
        var script = Script()
        script.take(.began)
        script.list([("a", 1)])
        script.take(.examined(PairID(0), log: nil))
        script.take(
            .opened(ServiceID(0), isDown: true, member(from: ["x"], to: "y", called: "z")))
        let again = try Conductor(snapshot: script.conductor.snapshot())
        #expect(again == script.conductor)
        #expect(again.definitions[ServiceID(0)]?.pipelineName == "z")
    }
}
