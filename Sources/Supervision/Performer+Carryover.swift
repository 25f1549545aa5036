import Bytes
import Linux
import ServiceFiles
import Services

// What is held, written down for another image of this process, and taken over by that.
extension Performer {
    /// From now on what is held is written there.
    func begin(_ carryover: Carryover) {
        self.carryover = carryover
        starters.carryover = carryover
        output?.carryover = carryover
        pipelines.carryover = carryover
    }

    /// All that is held.
    var facts: [HeldFact] {
        var facts: [HeldFact] = []
        for (index, service) in services.enumerated() {
            guard let service else { continue }
            facts.append(service.fact(ServiceID(index)))
            if let found = service.predecessor {
                facts.append(.predecessor(ServiceID(index), found))
            }
            if let extras = service.extras { facts.append(extras.fact(ServiceID(index))) }
            if let output = service.output { facts.append(output.fact(ServiceID(index))) }
        }
        for (index, pipe) in pipes.enumerated() {
            guard let pipe else { continue }
            facts.append(
                .pipe(
                    PairID(index), reader: pipe.readerNumber ?? -1,
                    writer: pipe.writerNumber ?? -1))
        }
        facts += pipelines.facts
        if let output { facts.append(output.fact) }
        if let fact = scan?.fact { facts.append(fact) }
        if !isInherited {
            facts.append(.environment(configuration.environment.entries))
        }
        return facts
    }

    /// Writes down which ends of a pipe are held, or will be in a moment.
    func record(_ pair: PairID, withoutReader: Bool = false, withoutWriter: Bool = false) {
        guard let pipe = pipe(pair) else { return }
        carryover?.write(
            .pipe(
                pair, reader: withoutReader ? -1 : pipe.readerNumber ?? -1,
                writer: withoutWriter ? -1 : pipe.writerNumber ?? -1))
    }

    /// Writes down what a service has besides, or will have in a moment.
    func recordExtras(of id: ServiceID, withoutReader: Bool = false) {
        guard let extras = service(id)?.extras else { return }
        carryover?.write(extras.fact(id, withoutReader: withoutReader))
    }

    /// Takes over what another image of this process held. Throws when something is missing.
    func adopt(_ facts: HeldFacts, _ carried: CarriedDescriptors, for conductor: Conductor)
        throws(SnapshotError)
    {
        for (index, fact) in facts.services.enumerated() {
            services.append(nil)
            guard case .service(let id, let name, let place, let numbers, let isDownFile) = fact
            else { continue }
            let definition = conductor.knownDefinition(of: id)
            let service = OpenService(
                adopting: try directory(numbers, carried), name: name, place: place,
                isDownFile: isDownFile, isDefined: definition != nil)
            services[index] = service
            if case .predecessor(_, let found) = facts.predecessors[index] {
                service.adopt(predecessor: found)
            }
            service.process = conductor.process(of: id)
            if let extras = service.extras, case .extras(_, let numbers) = facts.extras[index] {
                extras.adopt(numbers, carried)
            }
            if case .output(_, let ends) = facts.outputs[index] {
                service.output = ServiceOutput(adopting: try pipes(ends, carried))
            }
            if let definition { service.extras?.prepareGroup(definition, name) }
        }
        for fact in facts.pipes {
            pipes.append(nil)
            guard case .pipe(let pair, let reader, let writer) = fact else { continue }
            pipes[pair.index] = LogPipe(
                adopting: try end(reader, carried), writer: try end(writer, carried))
        }
        for case .pipeline(let name, let reader, let writer, let users) in facts.pipelines.values {
            let pipe = LogPipe(
                adopting: try end(reader, carried), writer: try end(writer, carried))
            pipelines.adopt(name, pipe, users: users)
        }
        if case .outputLogger(let pid, let socket) = facts.outputLogger {
            output?.adopt(pid, socket: carried.take(socket, where: { $0.isSocket }))
        }
        if case .scanControl(let lock, let control, let identity) = facts.scanControl,
            let lock = carried.take(lock, where: { $0.isRegular }),
            let control = carried.take(control, where: { $0.isFIFO })
        {
            scan?.adopt(ScanControl(adopting: lock, control: control), in: identity)
        }
    }

    private func directory(_ numbers: HeldFact.ServiceNumbers, _ carried: CarriedDescriptors)
        throws(SnapshotError) -> ServiceDirectory
    {
        guard let place = carried.take(numbers.place, where: { $0.isDirectory }) else {
            throw .damaged
        }
        if numbers.control < 0 { return ServiceDirectory(adopting: place) }
        guard let supervise = carried.take(numbers.supervise, where: { $0.isDirectory }),
            let lock = carried.take(numbers.lock, where: { $0.isRegular }),
            let control = carried.take(numbers.control, where: { $0.isFIFO })
        else { throw .damaged }
        return ServiceDirectory(
            adopting: place, supervise: supervise, lock: lock, control: control,
            ok: carried.take(numbers.ok, where: { $0.isFIFO }))
    }

    private func pipes(_ ends: HeldFact.OutputNumbers, _ carried: CarriedDescriptors)
        throws(SnapshotError) -> (output: LogPipe?, error: LogPipe?)
    {
        var pipes: (LogPipe?, LogPipe?)
        if ends.reader >= 0 {
            pipes.0 = LogPipe(
                adopting: try end(ends.reader, carried), writer: try end(ends.writer, carried))
        }
        if ends.errorReader >= 0 {
            pipes.1 = LogPipe(
                adopting: try end(ends.errorReader, carried),
                writer: try end(ends.errorWriter, carried))
        }
        return pipes
    }

    private func end(_ number: Int32, _ carried: CarriedDescriptors) throws(SnapshotError)
        -> Descriptor?
    {
        if number < 0 { return nil }
        if let end = carried.take(number, where: { $0.isFIFO }) { return end }
        throw .damaged
    }

    /// Forgets what the action that was under way at a fault left half done, so that it can be performed again.
    func forget(_ action: Action) {
        switch action {
        case .open(let id, _, _) where services.indices.contains(id.index):
            services[id.index] = nil
        case .makePipe(let pair) where pipes.indices.contains(pair.index):
            pipes[pair.index] = nil
        default: break
        }
    }

    /// Forgets all of it.
    func forgetAll() {
        services = []
        pipes = []
    }
}
