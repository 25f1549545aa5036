import Bytes
import Commands
import Formats
import Linux
import Services

// Processes that an earlier supervisor left running, when it was killed or its table damaged.
extension Performer {
    /// Takes over the process of a service, if there is one, with its pipes to others; before that, for the first of a
    /// service and its logger, the pipe between them, whichever of the two still has it.
    func adopt(_ id: ServiceID, _ standing: Standing, _ ends: PipelineEnds) -> Event? {
        switch standing {
        case .main(let pair), .logger(let pair): adoptPipe(pair, of: id)
        case .single: break
        case .command:
            let pid = formerCommand
            formerCommand = 0
            guard isChild(pid) else { return nil }
            let (seconds, nanoseconds) = wallClock()
            carryover?.note(command: pid)
            return .adopted(
                id, pid: pid, since: TAI64N(unixSeconds: seconds, nanoseconds: nanoseconds),
                isReady: false)
        }
        guard let service = service(id), let found = service.takePredecessor() else { return nil }
        service.process = found.pid
        adoptPipelines(ends, of: id, found)
        return .adopted(id, pid: found.pid, since: found.since, isReady: found.isReady)
    }

    private func adoptPipe(_ pair: PairID, of id: ServiceID) {
        guard let pipe = pipe(pair), pipe.readerNumber != nil, pipe.writerNumber != nil else {
            return
        }
        switch service(id)?.place {
        case .entry(let name, let identity), .logger(let name, let identity):
            let main = predecessor(at: .entry(name: name, identity))
            let logger = predecessor(at: .logger(name: name, identity))
            guard let found = main?.pipe(at: 1) ?? logger?.pipe(at: 0) else { return }
            pipes[pair.index] = found
            record(pair)
        default: return
        }
    }

    private func adoptPipelines(_ ends: PipelineEnds, of id: ServiceID, _ found: Predecessor) {
        var held = PipelineEnds()
        if pipelines.adopt(ends.reads, from: found, 0) { held.reads = ends.reads }
        if pipelines.adopt(ends.writes, from: found, 1) { held.writes = ends.writes }
        // Those are there, so nothing can fail.
        do throws(SystemError) { _ = try pipelines.join(id, held) } catch {}
    }

    private func predecessor(at place: Place) -> Predecessor? {
        for case .some(let service) in services where service.place == place {
            return service.predecessor
        }
        return nil
    }

    /// What can be known of a process that is no child of this one.
    enum Stranger {
        /// That it is a child.
        case none
        /// Its end, by waiting on that number.
        case watched(Int32)
        /// That it has ended.
        case gone
    }

    /// Watches for the end of a process that is no child of this one.
    func watchStranger(_ id: ServiceID, _ pid: ProcessID) -> Stranger {
        guard pid > 0, !isChild(pid), let service = service(id) else { return .none }
        do throws(SystemError) {
            return .watched(try service.beginWatch(pid))
        } catch {
            if error.errno == .noProcess { return .gone }
            messages.warning(
                "unable to watch process \(pid) of \(service.name), which an earlier supervisor started",
                error.errno)
            return .none
        }
    }
}
