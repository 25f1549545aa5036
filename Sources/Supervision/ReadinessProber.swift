import Bytes
import Linux
import Services

/// Finds out whether services are ready that do not tell it themselves: by a command that exits 0, or a connection that
/// is accepted. It is tried again and again, less and less often, until it succeeds or the service ends.
final class ReadinessProber {
    /// The waits between two attempts, in milliseconds: they double.
    private static let firstWait: UInt64 = 20
    private static let longestWait: UInt64 = 1000
    /// After how many milliseconds an attempt is given up.
    private static let patience: UInt64 = 10_000

    /// A service that is asked for.
    private struct Probe {
        let id: ServiceID
        let pid: ProcessID
        let readiness: ServiceDefinition.Readiness
        let directory: Int32
        var wait = ReadinessProber.firstWait
        var next = Instant.now
        var attempt = Attempt.none
    }

    /// What is under way.
    private enum Attempt {
        case none
        /// A command that runs until it is given up.
        case command(ProcessID, until: Instant)
        /// A connection that is being made until it is given up.
        case connection(PendingConnection, until: Instant)
    }

    private let starters: Starters
    private let environment: Environment
    private var probes: [Probe] = []

    init(_ starters: Starters, _ environment: Environment) {
        self.starters = starters
        self.environment = environment
    }

    /// Begins to ask for the service whose process is `pid`. A command is run in `directory`, which stays open until
    /// the end.
    func begin(
        _ id: ServiceID, _ pid: ProcessID, _ readiness: ServiceDefinition.Readiness,
        directory: Int32
    ) {
        end { $0.id == id }
        probes.append(Probe(id: id, pid: pid, readiness: readiness, directory: directory))
    }

    /// Asks no more for a service that is supervised no more.
    func end(_ id: ServiceID) { end { $0.id == id } }

    private func end(where isMeant: (Probe) -> Bool) {
        for probe in probes where isMeant(probe) { giveUp(probe.attempt) }
        probes.removeAll(where: isMeant)
    }

    private func giveUp(_ attempt: Attempt) {
        guard case .command(let pid, _) = attempt else { return }
        // It leads a session.
        do throws(SystemError) { try send(.kill, to: -pid) } catch {}
    }

    /// The services that are asked for.
    var services: [ServiceID] { probes.map { $0.id } }

    /// When to call `poll`; nil for never.
    var deadline: Instant? {
        var first: Instant?
        for probe in probes { first = min(first ?? probe.next, probe.next) }
        return first
    }

    /// Goes on with what is due; returns the services that were found ready.
    func poll() -> [ServiceID] {
        var ready: [ServiceID] = []
        let now = Instant.now
        for index in probes.indices where probes[index].next <= now {
            if advance(&probes[index], at: now) { ready.append(probes[index].id) }
        }
        end { probe in ready.contains(probe.id) }
        return ready
    }

    private func advance(_ probe: inout Probe, at now: Instant) -> Bool {
        switch probe.attempt {
        case .none: begin(&probe, at: now)
        case .command(let pid, let limit):
            if limit <= now {
                giveUp(.command(pid, until: limit))
                probe.attempt = .none
            }
        case .connection(let connection, let limit):
            switch connection.check() {
            case .connected: return true
            case .pending where now < limit: break
            case .pending, .failed: probe.attempt = .none
            }
        }
        probe.next = now.advanced(milliseconds: probe.wait)
        probe.wait = min(probe.wait * 2, ReadinessProber.longestWait)
        return false
    }

    private func begin(_ probe: inout Probe, at now: Instant) {
        let limit = now.advanced(milliseconds: ReadinessProber.patience)
        do throws(SystemError) {
            switch probe.readiness {
            case .command(let text):
                if let pid = try start(text, in: probe.directory) {
                    probe.attempt = .command(pid, until: limit)
                }
            case .tcp(let address):
                probe.attempt = .connection(try PendingConnection(tcp: address), until: limit)
            case .unix(let path):
                probe.attempt = .connection(try PendingConnection(unix: path), until: limit)
            case .start, .descriptor, .notify: break
            }
        } catch {
            // Refused, not there yet, no room for a process: it is tried again.
        }
    }

    private func start(_ text: ByteString, in directory: Int32) throws(SystemError) -> ProcessID? {
        let isOneWord = !text.contains(UInt8(ascii: " "))
        let words: [ByteString] = isOneWord ? [text] : ["/bin/sh", "-c", text]
        var setup = ChildSetup()
        setup.directory = directory
        setup.newSession = true
        if starters.nullInput >= 0 {
            setup.descriptors = [starters.nullInput, starters.nullInput]
        }
        return try starters.start(
            PreparedProgram(Invocation(command: words, environment: environment)), setup)
    }

    /// Notes that a child has ended; returns the service that its exit code says is ready.
    func noteDeath(of pid: ProcessID, _ status: Int32) -> ServiceID? {
        end { $0.pid == pid }
        for index in probes.indices {
            guard case .command(pid, _) = probes[index].attempt else { continue }
            probes[index].attempt = .none
            if status != 0 { return nil }
            let id = probes[index].id
            probes.remove(at: index)
            return id
        }
        return nil
    }
}
