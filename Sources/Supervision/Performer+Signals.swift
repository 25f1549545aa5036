import Bytes
import Commands
import Linux
import Services

/// Signals to services, to what they left behind, and to everybody else.
extension Performer {
    /// The most processes that are looked at to find what a service left behind.
    private static let mostProcesses = 50_000

    /// A service's process is a child not yet reaped, so its id cannot be another's; that of one which is no child may
    /// be, once it has ended.
    func send(
        _ signal: ServiceSignal, to pid: ProcessID, _ reach: ServiceDefinition.Reach
    ) {
        for case .some(let service) in services where service.watched == pid {
            if service.hasWatchedEnded { return }
        }
        if reach == .everything, let group = group(of: pid), group.send(Signal(signal.rawValue)) {
            return
        }
        // Its group may be gone or another's if it was moved there.
        if reach != .process, sendToGroup(signal, pid) { return }
        do throws(SystemError) { try Linux.send(Signal(signal.rawValue), to: pid) } catch {
            messages.warning(
                "unable to send signal \(signal.rawValue) to process \(pid)", error.errno)
        }
    }

    /// The control group of the service whose process it is.
    private func group(of pid: ProcessID) -> ServiceGroup? {
        for case .some(let service) in services where service.process == pid {
            return service.extras?.group
        }
        return nil
    }

    /// Sends a signal to the group that a process leads; false when it leads none.
    private func sendToGroup(_ signal: ServiceSignal, _ pid: ProcessID) -> Bool {
        guard pid > 1 else { return false }
        do throws(SystemError) {
            try Linux.send(Signal(signal.rawValue), to: -pid)
            return true
        } catch { return false }
    }

    /// What a process that was reaped left behind in its group keeps the group's number, so that it is no other's.
    func killRest(_ id: ServiceID, _ pid: ProcessID, _ reach: ServiceDefinition.Reach) {
        if reach == .process { return reportRest(id, pid) }
        _ = sendToGroup(.kill, pid)
        guard reach == .everything else { return }
        if service(id)?.extras?.group?.send(.kill) == true { return }
        do throws(SystemError) {
            for member in try ProcessTable(limit: Performer.mostProcesses).remains(of: pid) {
                do throws(SystemError) { try Linux.send(.kill, to: member) } catch {}
            }
        } catch {
            // Without /proc there is only the group.
        }
    }

    /// Tells of what is left in the group that a process led.
    private func reportRest(_ id: ServiceID, _ pid: ProcessID) {
        let isAnyLeft = sendToGroup(ServiceSignal(rawValue: 0), pid)
        guard isAnyLeft, let service = service(id) else { return }
        do throws(SystemError) {
            let rest = try ProcessTable(limit: Performer.mostProcesses).remains(of: pid)
            let left = rest.filter { ProcessTable.start(of: $0) != nil }
            if left.isEmpty { return }
            messages.warning("\(service.name) has ended, but not what it started: \(list(left))")
        } catch {
            // Without /proc nobody knows.
        }
    }

    func signalOthers(_ signals: [ServiceSignal], sparing spared: [ProcessID]) {
        var others: [ProcessID]
        do throws(SystemError) {
            others = try ProcessTable().strays(of: CurrentProcess.id, sparing: spared)
        } catch {
            // Without /proc process 1 still reaches everybody, its loggers too, and no other can.
            others = CurrentProcess.id == 1 ? [-1] : []
        }
        if signals.contains(.kill) && !others.isEmpty {
            messages.warning("killing processes that are no services: \(list(others))")
        }
        for pid in others {
            for signal in signals {
                // Gone meanwhile, which is what was wanted.
                do throws(SystemError) { try Linux.send(Signal(signal.rawValue), to: pid) } catch {}
            }
        }
    }

    private func list(_ processes: [ProcessID]) -> ByteString {
        var words: [ByteString] = processes.prefix(10).map { pid in
            pid == -1 ? "all" : "\(ProcessTable.name(of: pid)) (pid \(pid))"
        }
        if processes.count > 10 { words.append("and \(processes.count - 10) more") }
        return ByteString(words, joinedBy: ", ")
    }
}
