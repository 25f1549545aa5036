import Bytes
import Commands
import Formats
import Linux
import ServiceFiles
import Services

/// Tells whoever runs the machine that it is up: once every service is ready or down for good, it sends READY=1 of
/// sd_notify(3) to the address that the kernel's command line names.
struct StartNotice {
    private let address: MachineAddress
    private let services: ByteString
    private let messages: Messages

    /// How often the services are looked at, in milliseconds, and for how long.
    private static let interval: UInt64 = 50
    private static let patience: UInt64 = 3_600_000

    /// Nil when nobody wants to be told.
    init?(_ commandLine: KernelCommandLine, _ services: ByteString, _ messages: Messages) {
        guard let text = commandLine.noticeAddress else { return nil }
        guard let address = MachineAddress(text) else {
            messages.warning(
                "\(text.excerpt) is no address to send a notice to, vsock:CONTEXT:PORT")
            return nil
        }
        self.address = address
        self.services = services
        self.messages = messages
    }

    /// Waits and tells in a process of its own, which goes down with the others.
    func begin() {
        do throws(SystemError) {
            guard case .child = try forkProcess() else { return }
        } catch {
            messages.warning("unable to \(error.call): nobody is told of the start", error.errno)
            return
        }
        wait()
    }

    private func wait() -> Never {
        do throws(SystemError) {
            try CurrentProcess.startSession()
            try CurrentProcess.setName("notice")
            try SignalSet().block()
            let deadline = Instant.now.advanced(milliseconds: StartNotice.patience)
            while !isUp {
                if deadline <= .now { exitNow(1) }
                Linux.pause(until: Instant.now.advanced(milliseconds: StartNotice.interval))
            }
            let host = try connectToMachine(context: address.context, port: address.port)
            try writeAll(host.number, Array("READY=1\n".utf8))
            try host.close()
            exitNow(0)
        } catch {
            messages.warning("unable to tell that the machine is up", error.errno)
            exitNow(111)
        }
    }

    private var isUp: Bool {
        do throws(SystemError) {
            for name in try entries(of: services) where !name.hasPrefix(".") {
                let service = try WatchedService(
                    name: name, path: "\(services)/\(name)",
                    states: StatePlaces(ofSupervisorWith: Environment()))
                guard let record = try service.record(), isSettled(record) else { return false }
            }
            return true
        } catch { return false }
    }

    private func isSettled(_ record: StatusRecord) -> Bool {
        if record.meets(.ready) || record.state == .failed { return true }
        return record.want != StatusRecord.wantsUp && record.meets(.finished)
    }
}
