import Bytes
import Linux

/// The whole life of svscan and supervise; init has a policy of its own.
extension Supervisor {
    /// Supervises until SIGTERM or SIGINT asks for an orderly stop and that is complete, or until the
    /// last service of the program supervise was told to end. SIGHUP looks for services at once.
    ///
    /// A stop waits for services as long as daemontools' administrators are used to, but not for
    /// ever: after a minute they are killed. Loggers then have five seconds to read what is left, and
    /// five more after SIGTERM. A second SIGTERM or SIGINT takes the next step at once.
    public func runUntilStopped() throws(SystemError) {
        var steps: [Step] = [.killServices, .terminateLoggers, .killLoggers]
        var deadline: Instant?
        while !isEmpty || (scanner != nil && !isStopping) {
            for notice in try turn(until: deadline) {
                guard case .signal(let signal) = notice else { continue }
                if signal == .hangup { rescan() }
                if signal != .terminate && signal != .interrupt { continue }
                if isStopping {
                    deadline = .now
                } else {
                    stop()
                    deadline = Instant.now.advanced(milliseconds: 60_000)
                }
            }
            if isStopping, steps.first == .killServices, runningServices == 0 {
                steps.removeFirst()
                deadline = Instant.now.advanced(milliseconds: 5000)
            }
            if let due = deadline, due <= .now {
                deadline = Instant.now.advanced(milliseconds: 5000)
                if let step = steps.first { take(step) }
                if steps.count > 1 { steps.removeFirst() }
            }
        }
    }

    private enum Step {
        case killServices, terminateLoggers, killLoggers
    }

    private func take(_ step: Step) {
        switch step {
        case .killServices: kill(loggers: false)
        case .terminateLoggers: terminateLoggers()
        case .killLoggers: kill(loggers: true)
        }
    }
}
