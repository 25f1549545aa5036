import Bytes
import Commands
import Formats
import Linux

/// What reboot(8), poweroff(8), halt(8), shutdown(8) and telinit(8) ask process 1 for. They say it by the signal that
/// means just that, to systemd's users and here, so that none is taken for another.
public enum PowerRequest: Equatable, Sendable {
    /// The machine stands still.
    case halt
    /// The power goes off.
    case powerOff
    /// The machine starts again.
    case reboot
    /// The services are looked at now.
    case rescan

    private var signal: Signal {
        switch self {
        case .halt: Signal(37)
        case .powerOff: Signal(38)
        case .reboot: Signal(39)
        case .rescan: .hangup
        }
    }

    /// What is going on, for people.
    var description: StaticString {
        switch self {
        case .halt: "halt"
        case .powerOff: "power-off"
        case .reboot: "reboot"
        case .rescan: "rescan"
        }
    }

    /// Asks process 1; returns at once.
    public func send() throws(Failure) {
        do throws(SystemError) { try Linux.send(signal, to: 1) } catch {
            throw error.explained("unable to signal process 1")
        }
    }

    /// Ends the machine without process 1: what is in memory is written to disk, and nothing is stopped or unmounted.
    public func force(synchronizing: Bool) throws(Failure) {
        let ending: Machine.Ending =
            switch self {
            case .halt: .halt
            case .powerOff, .rescan: .powerOff
            case .reboot: .reboot
            }
        if synchronizing { Machine.synchronize() }
        do throws(SystemError) { try Machine.end(ending) } catch {
            throw error.explained("unable to end the machine")
        }
    }

    /// Notes in the history of logins that the machine goes down, and does nothing else.
    public static func note(_ messages: Messages) { LoginRecords.noteShutdown(messages) }
}
