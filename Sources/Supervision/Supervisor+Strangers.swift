import Bytes
import Commands
import Linux
import Services

// Processes of services that are no children of this one: an earlier supervisor started them.

extension Supervisor {
    /// Watches again for the end of such processes.
    func watchStrangers() {
        for index in performer.services.indices {
            let id = ServiceID(index)
            guard let service = performer.service(id), service.watched == 0 else { continue }
            watch(id, conductor.process(of: id))
        }
    }

    /// Watches for the end of a process, if it is such a one.
    func watch(_ id: ServiceID, _ pid: ProcessID) {
        switch performer.watchStranger(id, pid) {
        case .none: break
        case .gone:
            gone[id] = pid
            mayHaveDead = true
        case .watched(let number):
            do throws(SystemError) { try loop.add(number, token: Token.of(id, .process)) } catch {
                messages.warning("unable to watch process \(pid)", error.errno)
            }
        }
    }

    /// Takes the end of processes that were gone before they could be watched.
    func takeGone() {
        let ended = gone
        gone = [:]
        for (id, pid) in ended where conductor.process(of: id) == pid { takeEnd(of: pid) }
    }

    /// Takes the end of the process that was watched.
    func takeEndOfStranger(_ id: ServiceID) {
        guard let service = performer.service(id) else { return }
        let pid = service.watched
        service.endWatch()
        if conductor.process(of: id) == pid { takeEnd(of: pid) }
    }

    /// How it ended, only its parent knows.
    private func takeEnd(of pid: ProcessID) { take(.died(pid: pid, Death(status: 0))) }
}
