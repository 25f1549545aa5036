import Bytes
import Commands
import Formats
import Linux
import Services

// Processes that an earlier supervisor left running, when it was killed or its table damaged.
extension Performer {
    /// Takes over the process of a service, if there is one; before that, for the first of a service and its logger, the
    /// pipe between them, whichever of the two still has it.
    func adopt(_ id: ServiceID, _ standing: Standing) -> Event? {
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

    private func predecessor(at place: Place) -> Predecessor? {
        for case .some(let service) in services where service.place == place {
            return service.predecessor
        }
        return nil
    }

    /// Watches for the end of a process that is no child of this one; returns the number to wait on, nil for a child.
    func watchStranger(_ id: ServiceID, _ pid: ProcessID) -> Int32? {
        guard pid > 0, !isChild(pid), let service = service(id) else { return nil }
        do throws(SystemError) {
            service.watch = try openProcess(pid)
            return service.watchNumber
        } catch {
            messages.warning(
                "unable to watch process \(pid) of \(service.name), which another one started",
                error.errno)
            return nil
        }
    }
}
