import Bytes
import Commands
import Formats
import Linux

/// One supervised service: its directory, its state, and what is remembered of its troubles so that
/// each is reported once. Kept small, since there may be a thousand.
final class Service {
    /// What the service is to its supervisor.
    enum Role {
        /// The only service of the program supervise.
        case single
        /// A service of the scan directory.
        case main
        /// The `log` of such a service.
        case logger
    }

    /// Its name in messages.
    let name: ByteString
    /// What it is.
    let role: Role
    /// Where it was found; nil for a single service.
    let entry: ScanEntry?
    /// Its directory with the files of `supervise`.
    var directory: ServiceDirectory
    /// Its state.
    var machine: ServiceMachine
    /// When its process last started or ended.
    var since: TAI64N
    /// Its place in the supervisor's table.
    var slot = -1
    /// Whether it is in the supervisor's list of those that wait for a time.
    var isWaiting = false
    private var written: StatusRecord?
    private var isAnnounced = false
    private var startTrouble = Errno(0)
    private var statusTrouble = Errno(0)

    init(
        name: ByteString, role: Role, entry: ScanEntry?, directory: consuming ServiceDirectory,
        isDown: Bool
    ) {
        self.name = name
        self.role = role
        self.entry = entry
        self.directory = directory
        machine = ServiceMachine(isDown: isDown)
        since = Service.now
    }

    /// Whether it is a logger.
    var isLogger: Bool {
        switch role {
        case .logger: true
        case .single, .main: false
        }
    }

    /// The time of day as the status file has it.
    static var now: TAI64N {
        let (seconds, nanoseconds) = wallClock()
        return TAI64N(unixSeconds: seconds, nanoseconds: nanoseconds)
    }

    /// The content of its status file.
    var status: StatusRecord {
        let want =
            switch machine.wish {
            case .up: StatusRecord.wantsUp
            case .down: StatusRecord.wantsDown
            case .none: StatusRecord.wantsNothing
            }
        return StatusRecord(
            since: since, pid: UInt32(machine.pid), isPaused: machine.isPaused, want: want)
    }

    /// Tells svok that control FIFO and status are there.
    func announce(_ messages: Messages) {
        isAnnounced = true
        do throws(SystemError) { try directory.announce() } catch {
            messages.warning("unable to read \(name)/supervise/ok", error.errno)
        }
    }

    /// Writes the status file, unless that would not change it. A failure is a warning, and the same failure only one.
    func writeStatus(_ messages: Messages) {
        if directory.control == nil { return }
        let status = status
        if status == written { return }
        do throws(Failure) {
            if isAnnounced {
                try directory.write(status, name: name)
            } else {
                try directory.writeFirst(status, name: name)
            }
            written = status
            statusTrouble = Errno(0)
        } catch {
            let errno = error.errno ?? Errno(0)
            if errno != statusTrouble { messages.warning(error.text, error.errno) }
            statusTrouble = errno
        }
    }

    /// Reports why it could not be started, unless that was the reason the last time too.
    func noteStart(_ error: SpawnError?, _ messages: Messages) {
        let errno = error?.cause.errno ?? Errno(0)
        defer { startTrouble = errno }
        guard let error, errno != startTrouble else { return }
        if error.isFork {
            messages.warning("unable to fork for \(name)", errno)
        } else if case .single = role {
            // The words of the original, whose child it was that could not go on.
            messages.report(Failure("unable to start \(name)/run", errno))
        } else {
            messages.warning("unable to start \(name)/run", errno)
        }
    }
}
