import Bytes
import Formats

/// One supervised service, logger or main command. Kept small, since there may be a thousand.
struct Service: Equatable {
    /// What is known of connections to the sockets of a service that has no process.
    enum Connection: UInt8 {
        /// Nobody waits for one.
        case unasked
        /// One is waited for.
        case awaited
        /// One has come.
        case come
    }

    /// Its name in messages.
    let name: ByteString
    /// What it is to its supervisor.
    let standing: Standing
    /// What it is and does next; its supervision has not begun while `isOpen` is false.
    var machine: ServiceMachine
    /// Whether its directory is locked, so that a status file can be written.
    var isOpen = false
    /// Whether the next start is one after a look at what may have moved.
    var isChecked = true
    /// When its process last started or ended.
    var since: TAI64N
    /// When it became ready, if it is.
    var readySince: TAI64N?
    /// Whether its status file tells that it waits for others.
    var isShownBlocked = false
    /// Whether somebody has connected, for one that is started by that.
    var connection = Connection.unasked
    /// Why the last start failed, as errno, negative for that of a program beside `run`; 0 when none did.
    var startError: Int32 = 0

    init(name: ByteString, standing: Standing, at now: Moment) {
        self.name = name
        self.standing = standing
        machine = ServiceMachine(wish: .up)
        since = now.timeOfDay
    }

    /// The content of its status file, with what it says of itself.
    func status(_ text: ByteString) -> StatusRecord {
        let want =
            switch machine.wish {
            case .up: StatusRecord.wantsUp
            case .down: StatusRecord.wantsDown
            case .none: StatusRecord.wantsNothing
            }
        return StatusRecord(
            since: since, pid: UInt32(machine.pid), isPaused: machine.isPaused, want: want,
            details: details(text))
    }

    private func details(_ text: ByteString) -> StatusDetails {
        var details = StatusDetails(stateInDetail)
        details.reason = machine.reason
        details.wasTerminated = machine.wasTerminated && machine.pid != 0
        details.isReady = machine.isReady
        details.readySince = readySince
        details.lastEnd = machine.lastDeath?.status
        details.starts = machine.starts
        details.text = text
        return details
    }

    private var stateInDetail: StatusDetails.State {
        switch machine.state {
        case .down, .over: .down
        case .blocked: .blocked
        case .waiting: machine.role.isHelper ? .finishing : .waiting
        case .starting: machine.role.isHelper ? .finishing : .starting
        case .up: machine.isStopping ? .stopping : machine.isReady ? .up : .starting
        case .busy: machine.role.isHelper ? .finishing : .starting
        case .done: .done
        case .failed: .failed
        }
    }

    /// Whether it is a logger.
    var isLogger: Bool { if case .logger = standing { true } else { false } }
}
