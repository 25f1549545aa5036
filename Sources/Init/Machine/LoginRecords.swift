import Bytes
import Commands
import Formats
import Linux

/// What who(1), last(1) and runlevel(8) read: that the machine came up, and that it goes down.
enum LoginRecords {
    private static let current: ByteString = "/run/utmp"
    private static let history: ByteString = "/var/log/wtmp"

    /// Begins the table of who is here, and notes the boot. History is kept where there is a file for it.
    static func noteBoot(_ messages: Messages) {
        let (seconds, microseconds, release) = circumstances
        let records = [
            LoginRecord.boot(release: release, at: seconds, microseconds),
            LoginRecord.runlevel(
                UInt8(ascii: "2"), from: UInt8(ascii: "N"), release: release, at: seconds,
                microseconds),
        ]
        let bytes = records.flatMap { $0.bytes }
        do throws(SystemError) {
            let file = try openFile(current, .truncate)
            try writeAll(file.number, bytes)
            try setPermissions(file, 0o664)
            // The group utmp, in every Debian.
            try setOwner(of: current, user: 0, group: 43)
        } catch { messages.warning("unable to write \(current)", error.errno) }
        append(bytes, messages)
    }

    /// Notes the end.
    static func noteShutdown(_ messages: Messages) {
        let (seconds, microseconds, release) = circumstances
        append(LoginRecord.shutdown(release: release, at: seconds, microseconds).bytes, messages)
    }

    private static var circumstances: (Int64, Int32, ByteString) {
        let (seconds, nanoseconds) = wallClock()
        do throws(SystemError) {
            return (seconds, Int32(nanoseconds / 1000), try kernelRelease())
        } catch { return (seconds, Int32(nanoseconds / 1000), "") }
    }

    private static func append(_ bytes: [UInt8], _ messages: Messages) {
        do throws(SystemError) {
            let file = try openFile(history, .appendExisting)
            try writeAll(file.number, bytes)
        } catch {
            if error.errno != .noEntry && error.errno != .readOnly {
                messages.warning("unable to write \(history)", error.errno)
            }
        }
    }
}
