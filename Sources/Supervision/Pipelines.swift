import Bytes
import Linux
import Services

/// The pipes between services of which one reads what others write, by the name of the one that reads. A pipe stays as
/// long as anybody that uses it is supervised, so that a restart at either end loses no byte.
final class Pipelines {
    private final class Pipeline {
        let pipe: LogPipe
        var users: Set<ServiceID> = []

        init() throws(SystemError) { pipe = try LogPipe() }
    }

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
        if pipelines[name] == nil { pipelines[name] = try Pipeline() }
        pipelines[name]?.users.insert(id)
        return pipelines[name]
    }

    /// Notes that a service is supervised no more; closes what nobody uses then.
    func leave(_ id: ServiceID) {
        if pipelines.isEmpty { return }
        for pipeline in pipelines.values { pipeline.users.remove(id) }
        pipelines = pipelines.filter { !$0.value.users.isEmpty }
    }
}
