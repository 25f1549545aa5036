import Bytes
import Commands
import Linux

/// Where process 1 of a machine speaks, and where its administrator may answer.
enum Console {
    static let path: ByteString = "/dev/console"

    /// Makes /dev/console the standard descriptors, if they are something else. It does not become the controlling
    /// terminal, whose Ctrl-C would be a signal to process 1.
    static func open(_ messages: Messages) {
        do throws(SystemError) {
            let console = try openFile(path, OpenMode.terminal)
            for descriptor in Standard.input...Standard.error {
                try redirect(descriptor, to: console.number)
            }
            // It is one of them, and stays.
            if console.number <= Standard.error { _ = console.release() }
        } catch {
            messages.warning("unable to open \(path)", error.errno)
        }
    }

    /// The terminals that the kernel writes its messages to, as names below /dev: `ttyS0`, `tty0`, `hvc0`.
    static var terminals: [ByteString] {
        do throws(SystemError) {
            let text = try contents(of: "/sys/class/tty/console/active", limit: 4096)
            return text.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") }.map {
                ByteString($0)
            }
            // The one in front of the screen is the first.
            .map { $0 == "tty0" ? "tty1" : $0 }
        } catch { return [] }
    }

    /// Becomes `command` in a session of its own that has the console: for a child of process 1.
    static func become(_ command: Invocation) -> Never {
        do throws(SystemError) {
            try CurrentProcess.startSession()
            let names = terminals
            let path: ByteString = names.last.map { "/dev/\($0)" } ?? Console.path
            let terminal = try openFile(path, OpenMode.terminal)
            for descriptor in Standard.input...Standard.error {
                try redirect(descriptor, to: terminal.number)
            }
            try takeTerminal(Standard.input)
            try SignalSet().block()
            try command.execute()
        } catch { exitNow(111) }
    }
}
