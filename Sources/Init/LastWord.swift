import Bytes
import Commands
import Linux

/// Writes for Kubernetes why `init` could not even begin, which is told on standard error anyway.
public func leaveWord(of failure: Failure, _ messages: Messages) {
    let cause: ByteString = failure.errno.map { ": \($0.text)" } ?? ""
    LastWord.write("\(failure.text)\(cause)", messages)
}

/// Why a container ended, for whoever finds it ended: a line on standard error, and the same where Kubernetes takes the
/// message of a container from.
struct LastWord {
    /// The file that Kubernetes lays out for it.
    static let file: ByteString = "/dev/termination-log"
    /// How much of that it takes, in bytes.
    static let longest = 4096

    private let reason: ByteString
    private let isNews: Bool
    private let exitCode: Int32

    init(_ reason: ByteString, isNews: Bool, exitCode: Int32) {
        self.reason = reason
        self.isNews = isNews
        self.exitCode = exitCode
    }

    /// Tells it, if nobody has, or at the highest verbosity; and Kubernetes, if it is no success.
    func leave(_ messages: Messages) {
        let text: ByteString = "exiting with status \(exitCode): \(reason)"
        if isNews { messages.warning(text) } else { messages.information(text) }
        if exitCode != 0 { LastWord.write(text, messages) }
    }

    /// Writes it for Kubernetes, if that has laid out the file.
    static func write(_ text: ByteString, _ messages: Messages) {
        do throws(SystemError) { try write("\(messages.program): \(text)", to: file) } catch {
            if error.errno != .noEntry {
                messages.warning("unable to write \(file)", error.errno)
            }
        }
    }

    /// Writes what there is room for into a regular file that is there, and that nobody has written to before: what
    /// the command or a service said of itself is worth more. No link is followed.
    static func write(_ text: ByteString, to path: ByteString) throws(SystemError) {
        let file = try openRegularFile(path, .write)
        if try status(of: file.number).size > 0 { return }
        try writeAll(file.number, text.visible.bytes.prefix(longest - 1) + [UInt8(ascii: "\n")])
    }
}
