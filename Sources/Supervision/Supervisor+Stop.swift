import Bytes
import Linux
import Services

/// An end in order: services first, each logger when the last line is written.
extension Supervisor {
    /// Begins an orderly stop: every service but the loggers is told what `svc -dx` tells it, and
    /// nothing is started any more. As services end, their loggers' pipes are closed, so that the
    /// loggers see the end of their input when the last line is written, and end.
    public func stop() {
        if isStopping { return }
        isStopping = true
        // Orphans have been adopted without notice since a wait last found no child.
        expectChildren()
        scanner?.end()
        for service in supervised where !service.isLogger {
            handle(.command(.down), service)
            handle(.command(.exit), service)
        }
        // A logger may be without a service, if that was told to end before or never came up.
        for logger in supervised where logger.isLogger {
            if let entry = logger.entry, entry.service == nil { endInput(of: entry) }
        }
    }

    /// Sends SIGKILL to the services that are still up; also to the loggers when `loggers` is true.
    public func kill(loggers: Bool) {
        for service in supervised where loggers || !service.isLogger {
            if service.isLogger { handle(.command(.exit), service) }
            handle(.command(.kill), service)
        }
    }

    /// Sends SIGTERM and SIGCONT to the loggers that are still up, and starts none any more.
    public func terminateLoggers() {
        for service in supervised where service.isLogger {
            handle(.command(.exit), service)
            handle(.command(.down), service)
        }
    }

    /// Closes this process's ends of the pipe of a service that is gone. A logger that is up will
    /// read what is left and end; one that waits to be started is started to do that.
    func endInput(of entry: ScanEntry) {
        entry.writer = nil
        guard let logger = entry.logger else {
            entry.reader = nil
            return
        }
        if logger.machine.isStartDue { return }
        entry.reader = nil
        handle(.command(.exit), logger)
    }

    /// Lets a logger end by itself that has just been started to read what is left.
    func letGo(of logger: Service) {
        guard let entry = logger.entry, entry.service == nil, logger.machine.pid != 0,
            !logger.machine.isLeaving
        else { return }
        endInput(of: entry)
    }
}
