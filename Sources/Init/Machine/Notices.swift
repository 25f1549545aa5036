import Bytes
import Commands
import Formats
import Linux
import Services

/// What reaches process 1 of a machine otherwise than by a signal of its own: the power button, and requests of
/// sysvinit's programs on /run/initctl. The kernel sends a signal when there is something to read.
final class Notices {
    private let messages: Messages
    private var buttons: [(path: ByteString, descriptor: Int32)] = []
    private var control: Int32 = -1

    private static let fifo: ByteString = "/run/initctl"

    init(_ messages: Messages) { self.messages = messages }

    /// Opens what there is and is not open, and the FIFO anew.
    func listen() {
        for name in SmallFiles.list("/dev/input") where name.hasPrefix("event") {
            listenToButton("/dev/input/\(name)")
        }
        openControl()
    }

    private func listenToButton(_ path: ByteString) {
        if buttons.contains(where: { $0.path == path }) { return }
        do throws(SystemError) {
            let device = try openFile(path, .read)
            guard try inputDeviceName(device.number) == "Power Button" else { return }
            try announceInput(device.number, by: MachineSignals.notice)
            buttons.append((path, device.release()))
        } catch { messages.warning("unable to listen to \(path)", error.errno) }
    }

    /// Makes the FIFO if it is not there, and opens it anew, as programs that found it missing ask by SIGUSR1.
    private func openControl() {
        do throws(SystemError) {
            do throws(SystemError) { try makeFIFO(Notices.fifo, permissions: 0o600) } catch {
                if error.errno != .exists { throw error }
            }
            let file = try openFIFO(Notices.fifo, .readWrite)
            try announceInput(file.number, by: MachineSignals.notice)
            if control >= 0 { closeUnowned(control) }
            control = file.release()
        } catch { messages.warning("unable to listen to \(Notices.fifo)", error.errno) }
    }

    /// Reads what there is to read, a bounded part of it, and returns what it means.
    func events() -> [Event] {
        var events: [Event] = []
        for button in buttons
        where InputEvent.isPowerPressed(
            in: bytes(from: button.descriptor, 64 * InputEvent.size)[...])
        {
            events.append(.stopAsked(.powerOff, signal: .terminate))
        }
        // One record after the other: what is no whole record is none, and gone.
        for _ in 0..<16 where control >= 0 {
            let record = bytes(from: control, InitctlRecord.size)
            if record.isEmpty { break }
            if let request = InitctlRecord(record[...]) { events += self.events(of: request) }
        }
        return events
    }

    private func events(of request: InitctlRecord) -> [Event] {
        switch request.runlevel {
        case UInt8(ascii: "0"): return [.stopAsked(.powerOff, signal: .terminate)]
        case UInt8(ascii: "6"): return [.stopAsked(.reboot, signal: .terminate)]
        case UInt8(ascii: "q"), UInt8(ascii: "Q"): return [.rescanAsked]
        default:
            messages.warning(
                "/run/initctl: there is no runlevel \(ByteString([request.runlevel])) but 0 and 6")
            return []
        }
    }

    private func bytes(from descriptor: Int32, _ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        do throws(SystemError) {
            let length = try bytes.withUnsafeMutableBufferPointer {
                (buffer) throws(SystemError) -> Int in
                try Linux.read(descriptor, into: UnsafeMutableRawBufferPointer(buffer))
            }
            return Array(bytes[..<length])
        } catch { return [] }
    }
}
