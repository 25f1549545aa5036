import Bytes
import Linux

/// Why a program ends without having done its work: one line for people and an exit code.
public struct Failure: Error {
    /// What could not be done, without the program's name.
    public let text: ByteString
    /// The cause, if the kernel gave one; printed after the text.
    public let errno: Errno?
    /// 100 for a mistake in how the program was called, 111 for anything that may pass.
    public let exitCode: Int32
    /// How the line begins.
    public let form: Form

    /// How the line of a failure begins.
    public enum Form: Sendable {
        /// `NAME: fatal: …`.
        case fatal
        /// `NAME: usage: …`, daemontools' line about a wrong command line.
        case usage
        /// `usage: NAME …` and an empty line, which is runit's.
        case usageOfRunit
    }

    /// A failure with an optional cause.
    public init(_ text: ByteString, _ errno: Errno? = nil, exitCode: Int32 = 111) {
        self.text = text
        self.errno = errno
        self.exitCode = exitCode
        form = .fatal
    }

    /// A wrong command line; `text` is the synopsis.
    public init(usage text: ByteString, exitCode: Int32 = 100) {
        self.init(text, .usage, exitCode)
    }

    /// A wrong command line of a program of runit; `text` is what follows the program's name.
    public init(usageOfRunit text: ByteString, exitCode: Int32 = 100) {
        self.init(text, .usageOfRunit, exitCode)
    }

    private init(_ text: ByteString, _ form: Form, _ exitCode: Int32) {
        self.text = text
        errno = nil
        self.exitCode = exitCode
        self.form = form
    }
}

extension SystemError {
    /// The failure in the words of the program that met it: `unable to open ./run`, say.
    public func explained(_ text: ByteString, exitCode: Int32 = 111) -> Failure {
        Failure(text, errno, exitCode: exitCode)
    }
}
