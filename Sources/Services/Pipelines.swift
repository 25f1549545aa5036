import Bytes

/// Which ends of pipelines a service is given instead of its own input and output. A pipe is known by the name of the
/// service that reads from it.
public struct PipelineEnds: Equatable, Sendable {
    /// The pipe that it reads from.
    public var reads: ByteString?
    /// The pipe that it writes to.
    public var writes: ByteString?

    /// None, or these.
    public init(reads: ByteString? = nil, writes: ByteString? = nil) {
        self.reads = reads
        self.writes = writes
    }
}

extension Conductor {
    /// What a service of a pipeline reads from and writes to. Nobody writes to what another does not say that it reads:
    /// the pipe would fill. What goes to a logger goes there alone.
    func pipelineEnds(of id: ServiceID) -> PipelineEnds {
        guard let definition = definitions[id], definition.isInPipeline,
            case .main(let pair) = services[id.index]?.standing
        else { return PipelineEnds() }
        let name = orderName(of: id)
        var ends = PipelineEnds(reads: definition.producers.isEmpty ? nil : name)
        if pairs[pair.index]?.hasWriter == false, let consumer = definition.consumer,
            let reader = knownOrder.ids[consumer],
            definitions[reader]?.producers.contains(name) == true
        {
            ends.writes = consumer
        }
        return ends
    }
}

extension ServiceDefinition {
    /// Whether it writes to another service, or reads from one.
    public var isInPipeline: Bool { consumer != nil || !producers.isEmpty }
}

extension [ByteString: ServiceDefinition] {
    /// The members of each pipeline that has a name. A service of that name goes before.
    var pipelines: [ByteString: [ByteString]] {
        var members: [ByteString: [ByteString]] = [:]
        for (name, definition) in self {
            guard let pipeline = definition.pipelineName, self[pipeline] == nil else { continue }
            members[pipeline, default: []] += chain(to: name)
        }
        return members
    }

    /// With the members of a pipeline wherever the name of the pipeline stands.
    func namingMembers(of members: [ByteString: [ByteString]]) -> [ByteString: ServiceDefinition] {
        if members.isEmpty { return self }
        return mapValues { definition in
            var definition = definition
            func replace(_ names: inout [ByteString]) {
                guard names.contains(where: { members[$0] != nil }) else { return }
                names = names.flatMap { members[$0] ?? [$0] }
            }
            replace(&definition.needs)
            replace(&definition.wants)
            replace(&definition.after)
            replace(&definition.before)
            replace(&definition.contents)
            return definition
        }
    }

    /// The last service of a pipeline, and all that write to it, and so on, each once.
    private func chain(to last: ByteString) -> [ByteString] {
        var names = [last]
        var next = 0
        while next < names.count {
            let name = names[next]
            next += 1
            for producer in self[name]?.producers ?? []
            where self[producer]?.consumer == name && !names.contains(producer) {
                names.append(producer)
            }
        }
        return names
    }
}
