import Bytes
import Linux
import Services

/// The pipes between services of which one reads what others write, by the name of the one that reads. A pipe stays as
/// long as anybody that uses it is supervised, so that a restart at either end loses no byte.
final class Pipelines {
    private final class Pipeline {
        let pipe: LogPipe
        var users: Set<ServiceID> = []

        init(_ pipe: LogPipe, users: Set<ServiceID> = []) {
            self.pipe = pipe
            self.users = users
        }

        func fact(_ name: ByteString) -> HeldFact {
            .pipeline(
                name, reader: pipe.readerNumber ?? -1, writer: pipe.writerNumber ?? -1,
                users: users.sorted { $0.index < $1.index })
        }
    }

    /// Where the pipes are written down.
    var carryover: Carryover?

    private var pipelines: [ByteString: Pipeline] = [:]

    /// The numbers of the ends that a service is given, nil for those that it has not; the pipes are made if need be,
    /// and stay this object's. pipe2(2).
    func join(_ id: ServiceID, _ ends: PipelineEnds) throws(SystemError)
        -> (input: Int32?, output: Int32?)
    {
        (
            input: try pipeline(ends.reads, id)?.pipe.readerNumber,
            output: try pipeline(ends.writes, id)?.pipe.writerNumber
        )
    }

    private func pipeline(_ name: ByteString?, _ id: ServiceID) throws(SystemError) -> Pipeline? {
        guard let name else { return nil }
        let pipeline: Pipeline
        if let known = pipelines[name] {
            pipeline = known
        } else {
            pipeline = Pipeline(try LogPipe())
            pipelines[name] = pipeline
        }
        if pipeline.users.insert(id).inserted { carryover?.write(pipeline.fact(name)) }
        return pipeline
    }

    /// What is held.
    var facts: [HeldFact] { pipelines.map { $0.value.fact($0.key) } }

    /// Goes on with a pipe that another image of this process made.
    func adopt(_ name: ByteString, _ pipe: LogPipe, users: [ServiceID]) {
        pipelines[name] = Pipeline(pipe, users: Set(users))
    }

    /// Whether the pipe of that name is there, if need be by taking over what a process has as that descriptor.
    func adopt(_ name: ByteString?, from found: Predecessor, _ number: Int) -> Bool {
        guard let name else { return false }
        if pipelines[name] != nil { return true }
        guard let pipe = found.pipe(at: number) else { return false }
        adopt(name, pipe, users: [])
        return true
    }

    /// Notes that a service is supervised no more; closes what nobody uses then.
    func leave(_ id: ServiceID) {
        if pipelines.isEmpty { return }
        for pipeline in pipelines.values { pipeline.users.remove(id) }
        pipelines = pipelines.filter { !$0.value.users.isEmpty }
    }
}
