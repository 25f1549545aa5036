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
    /// Whether the line is a usage line, `NAME: usage: …`, and not `NAME: fatal: …`.
    public let isUsage: Bool

    /// A failure with an optional cause.
    public init(_ text: ByteString, _ errno: Errno? = nil, exitCode: Int32 = 111) {
        self.text = text
        self.errno = errno
        self.exitCode = exitCode
        isUsage = false
    }

    /// A wrong command line; `text` is the synopsis.
    public init(usage text: ByteString, exitCode: Int32 = 100) {
        self.text = text
        errno = nil
        self.exitCode = exitCode
        isUsage = true
    }
}

extension SystemError {
    /// The failure in the words of the program that met it: `unable to open ./run`, say.
    public func explained(_ text: ByteString, exitCode: Int32 = 111) -> Failure {
        Failure(text, errno, exitCode: exitCode)
    }
}
