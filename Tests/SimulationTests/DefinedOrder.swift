import Bytes
import Formats

@testable import Services

/// What comes before what, by what the conductor has been told: slow, and in the manual's words.
extension World {
    /// The supervised service of a name.
    func named(_ name: ByteString) -> Int? {
        services.firstIndex { service in
            guard let service, isDefined(service), service.life.told != nil,
                !service.life.isClosed
            else { return false }
            return service.superseded == nil && SimulatedFiles.names[service.lastName] == name
        }
    }

    private func name(of service: SupervisedService) -> ByteString {
        SimulatedFiles.names[service.lastName]
    }

    private func asked(_ name: ByteString) -> ServiceDefinition? {
        named(name).flatMap { services[$0]?.life.told }.map { written($0) }
    }

    /// A definition with all names written out: whoever writes to another needs it, and a pipeline is all that is in it.
    private func written(_ definition: ServiceDefinition) -> ServiceDefinition {
        var definition = definition
        definition.needs += definition.consumer.map { [$0] } ?? []
        definition.needs = definition.needs.flatMap { writtenOut($0) }
        definition.wants = definition.wants.flatMap { writtenOut($0) }
        definition.after = definition.after.flatMap { writtenOut($0) }
        definition.before = definition.before.flatMap { writtenOut($0) }
        definition.contents = definition.contents.flatMap { writtenOut($0) }
        return definition
    }

    private func writtenOut(_ name: ByteString) -> [ByteString] {
        guard name == ServiceDefinition.pipeline else { return [name] }
        let last = SimulatedFiles.names.filter { told($0)?.pipelineName == name }
        let members = last.flatMap { closure($0) { reader in writers(to: reader) } }
        return members.isEmpty ? [name] : members
    }

    private func told(_ name: ByteString) -> ServiceDefinition? {
        named(name).flatMap { services[$0]?.life.told }
    }

    /// The services that write to one which agrees to that.
    private func writers(to reader: ByteString) -> [ByteString] {
        (told(reader)?.producers ?? []).filter { told($0)?.consumer == reader }
    }

    /// Each program is given its ends of a pipeline: whoever has producers reads, and whoever has no logger writes to its
    /// consumer, if that says the same.
    func checkPipeline(_ service: SupervisedService, _ launch: Launch) throws {
        guard case .main(let pair) = service.standing else { return }
        let name = name(of: service)
        var ends = PipelineEnds()
        if !service.life.asked.producers.isEmpty { ends.reads = name }
        let isLogged = pipeOfPair[pair.index].map { pipes[$0].isWriterOpen } ?? false
        if let consumer = service.life.asked.consumer, !isLogged,
            told(consumer)?.producers.contains(name) == true
        {
            ends.writes = consumer
        }
        try require(
            launch.pipeline == ends, "\(name) has the ends \(launch.pipeline), not \(ends)")
    }

    /// All names, each with what is in it, that a name stands for.
    private func closure(_ first: ByteString, _ next: (ByteString) -> [ByteString]) -> [ByteString]
    {
        var list = [first]
        var place = 0
        while place < list.count {
            for name in next(list[place]) where !list.contains(name) { list.append(name) }
            place += 1
        }
        return list
    }

    /// What a name stands for: itself, or what is in it if it is a bundle. Unknown names are among them.
    private func expand(_ name: ByteString) -> [ByteString] {
        closure(name, insides).filter { asked($0)?.kind != .bundle }
    }

    /// The name and the bundles that it is in, which say things for it.
    private func origins(_ name: ByteString) -> [ByteString] {
        closure(name) { part in
            SimulatedFiles.names.filter {
                asked($0)?.kind == .bundle && asked($0)?.contents.contains(part) == true
            }
        }
    }

    private func firsts(
        _ name: ByteString, _ said: (ServiceDefinition) -> [ByteString]
    ) -> [ByteString] {
        origins(name).flatMap { origin in (asked(origin).map(said) ?? []).flatMap { expand($0) } }
    }

    /// What a service waits for if it is to be up.
    private func afters(_ name: ByteString) -> [ByteString] {
        let origins = origins(name)
        let turned = SimulatedFiles.names.filter { other in
            asked(other)?.before.contains { origins.contains($0) } == true
        }
        return firsts(name) { $0.wants + $0.after } + turned.flatMap { expand($0) }
    }

    private func allFirsts(_ name: ByteString) -> [ByteString] {
        asked(name) == nil ? [] : firsts(name) { $0.needs } + afters(name)
    }

    /// Whether one waits for another, perhaps by way of others.
    private func waits(_ name: ByteString, for other: ByteString) -> Bool {
        allFirsts(name).contains { closure($0) { allFirsts($0) }.contains(other) }
    }

    /// Nothing starts before what it needs is ready, nor before what it waits for has come or failed.
    func checkOrderOfStart(_ service: SupervisedService) throws {
        if service.superseded != nil { return }
        let name = name(of: service)
        for needed in firsts(name, { $0.needs }) {
            try require(
                named(needed).map { services[$0]?.life.isReady == true } ?? false,
                "\(name) starts before \(needed), which it needs, is ready")
        }
        for first in afters(name) {
            guard let index = named(first), let other = services[index] else { continue }
            let isComing =
                other.process != 0 && [.run, .prepare].contains(other.life.role)
                && !other.life.isReady
            try require(!isComing, "\(name) does not wait for \(first)")
        }
        try require(!waits(name, for: name), "starts what waits for itself")
    }

    /// The graph's stop is the reverse of its start.
    func checkOrderOfStop(_ service: SupervisedService) throws {
        let life = service.life
        // It was told before, for another reason.
        if service.wasToldDown || life.stopAsked != nil || service.superseded != nil { return }
        if life.mayBeCondemned && !life.isReady { return }
        let name = name(of: service)
        for case .some(let other) in services where other.process != 0 && isDefined(other) {
            if other.life.asked.kind == .bundle || other.serial == service.serial { continue }
            let waits: Bool
            if other.superseded != nil {
                let said = written(other.life.asked)
                waits = (said.needs + said.wants + said.after).contains {
                    expand($0).contains(name)
                }
            } else {
                let otherName = self.name(of: other)
                // Services that wait for one another in a circle end in no order.
                waits = allFirsts(otherName).contains(name) && !self.waits(name, for: otherName)
            }
            try require(!waits, "ends \(name) before \(self.name(of: other)), which waits for it")
        }
    }

    /// Whether it can never start: for waiting for itself, for being in a bundle that is in itself, or for needing
    /// something like that, or something that is not there.
    private func isBroken(_ name: ByteString) -> Bool {
        closure(name) { firsts($0) { $0.needs } }.contains { part in
            let origins = origins(part)
            let needed = origins.flatMap { asked($0)?.needs ?? [] }
            return asked(part) == nil || waits(part, for: part)
                || (origins + needed.flatMap { closure($0, insides) }).contains { isInItself($0) }
        }
    }

    private func isInItself(_ name: ByteString) -> Bool {
        insides(name).contains { closure($0, insides).contains(name) }
    }

    private func insides(_ name: ByteString) -> [ByteString] {
        asked(name)?.kind == .bundle ? asked(name)?.contents ?? [] : []
    }

    /// After a time without trouble nothing is held back without a reason.
    func checkHeldBack() throws {
        // What is in the directory but waits to be supervised is known to the conductor, and not here.
        let isAnyUnknown = SimulatedFiles.names.indices.contains {
            files.directory(at: $0) != nil && named(SimulatedFiles.names[$0]) == nil
        }
        if isAnyUnknown { return }
        for index in services.indices {
            guard let service = services[index], isDefined(service), service.superseded == nil,
                service.life.asked.kind != .bundle,
                conductor.services[index]?.machine.state == .blocked
            else { continue }
            let name = name(of: service)
            let isWaiting = allFirsts(name).contains { first in
                named(first).map { services[$0]?.life.isReady == false } ?? false
            }
            try require(isWaiting || isBroken(name), "\(name) is held back by nothing")
        }
    }

    /// Whether all that a bundle stands for is ready.
    func isComplete(_ service: SupervisedService) -> Bool {
        if service.superseded != nil { return service.status?.details?.isReady == true }
        let members = expand(name(of: service))
        let isReady = members.allSatisfy { member in
            named(member).map { services[$0]?.life.isReady == true } ?? false
        }
        // What can never start is never complete, though it may be up from before.
        let isReadyByStatus = service.status?.details?.isReady == true
        let isOdd =
            members.isEmpty || origins(name(of: service)).count > 1
            || members.contains { isBroken($0) }
            || closure(name(of: service), insides).contains { isInItself($0) }
        return isOdd ? isReadyByStatus : isReady
    }

    // MARK: - What a command means to others

    func members(of bundle: SupervisedService) -> [Int] {
        if bundle.superseded != nil { return [] }
        return expand(name(of: bundle)).compactMap { named($0) }
    }

    /// What is brought up with a service, because it needs or wants it.
    func broughtUp(with service: SupervisedService) -> [Int] {
        if service.superseded != nil { return [] }
        let members = expand(name(of: service))
        var found: [Int] = []
        for name in members.flatMap({ closure($0) { firsts($0) { $0.needs + $0.wants } } }) {
            if let index = named(name), !found.contains(index) { found.append(index) }
        }
        return found
    }

    /// Whoever has a `down` is brought up with those that ask for it.
    func noteWanted() {
        let isAnyWanted = services.contains { service in
            guard let asked = service?.life.told else { return false }
            return !asked.needs.isEmpty || !asked.wants.isEmpty || asked.consumer != nil
        }
        guard isAnyWanted else { return }
        for index in services.indices { services[index]?.life.isHeld = false }
    }

    func dependents(on service: SupervisedService) -> [Int] {
        if service.superseded != nil { return [] }
        let name = name(of: service)
        return services.indices.filter { index in
            guard let other = services[index], isDefined(other), other.superseded == nil,
                other.life.told != nil
            else { return false }
            return firsts(self.name(of: other)) { $0.needs }.contains(name)
        }
    }
}
