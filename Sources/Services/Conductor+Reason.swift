import Bytes
import Formats

extension Conductor {
    /// Why everything has ended, for people; to be asked when it has.
    public var reason: ByteString {
        if let essentialReason { return essentialReason }
        if commandCode != nil, let program = configuration.command {
            return "the command \(program) has ended"
        }
        if hasKilled { return "services had to be killed" }
        if configuration.hasScanDirectory && scan.directory == nil {
            return "there was no service directory"
        }
        return "everything has been stopped"
    }

    /// Whether that has not been told yet: an essential service's end, and that of a command by a signal by which nobody
    /// asks a process to end.
    public var isReasonNews: Bool {
        if essentialReason != nil { return true }
        guard let commandCode, !hasKilled else { return false }
        // ILL, ABRT, BUS, FPE, KILL, SEGV, XCPU, XFSZ, SYS.
        return [4, 6, 7, 8, 9, 11, 24, 25, 31].contains(commandCode - 128)
    }

    /// The same of a service that takes all others with it.
    func reason(essential id: ServiceID) -> ByteString {
        guard let service = services[id.index] else { return "an essential service has ended" }
        if service.machine.state == .failed && service.machine.reason != .ended {
            return
                "the essential service \(service.name) has failed, \(service.machine.reason.words)"
        }
        return "the essential service \(service.name) has ended"
    }
}
