import Bytes
import Commands
import Formats
import Linux

/// Lines for everybody who is logged in, as wall(1) shows them.
enum Broadcast {
    /// Writes `text` to each terminal of /run/utmp that has room for it.
    static func send(_ text: ByteString, from user: ByteString) {
        let lines: ByteString = "\r\nBroadcast message from \(user):\r\n\r\n\(text.visible)\r\n\r\n"
        for terminal in terminals {
            do throws(SystemError) {
                let device = try openFile("/dev/\(terminal)", .terminalWithoutWaiting)
                try writeWithoutWaiting(device.number, Array(lines.bytes))
            } catch {
                // Whoever it was has gone.
            }
        }
    }

    private static var terminals: Set<ByteString> {
        var found: Set<ByteString> = []
        do throws(SystemError) {
            let bytes = try contents(of: "/run/utmp", limit: SmallFiles.limit)
            var rest = bytes[...]
            while rest.count >= LoginRecord.size {
                let record = LoginRecord(rest.prefix(LoginRecord.size))
                rest = rest.dropFirst(LoginRecord.size)
                guard let record, record.kind == .user, isName(record.line) else { continue }
                found.insert(record.line)
            }
        } catch {}
        return found
    }

    /// Users may write to that file in some systems: it names nothing but terminals.
    private static func isName(_ line: ByteString) -> Bool {
        (line.hasPrefix("tty") || line.hasPrefix("pts/") || line.hasPrefix("hvc"))
            && !line.hasPrefix("tty/")
            && !line.parts(separatedBy: UInt8(ascii: "/")).contains("..")
    }
}
