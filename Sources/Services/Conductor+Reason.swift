import Bytes

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

    /// The same of a service that takes all others with it.
    func reason(essential id: ServiceID) -> ByteString {
        guard let service = services[id.index] else { return "an essential service has ended" }
        if service.machine.state == .failed {
            return
                "the essential service \(service.name) has failed, \(service.machine.reason.words)"
        }
        return "the essential service \(service.name) has ended"
    }
}
