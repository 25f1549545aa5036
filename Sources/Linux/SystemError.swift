/// A system call that failed: which one, on what, and why.
public struct SystemError: Error, Equatable {
    /// The name of the call, as in section 2 of the manual.
    public let call: StaticString
    /// Why it failed.
    public let errno: Errno
    /// The path, address or name it was given; empty when it takes none.
    public let subject: ByteString

    /// Describes a failed call.
    public init(_ call: StaticString, _ errno: Errno, subject: ByteString = ByteString()) {
        self.call = call
        self.errno = errno
        self.subject = subject
    }

    /// Two failures are equal when call, errno and subject are.
    public static func == (left: SystemError, right: SystemError) -> Bool {
        left.errno == right.errno && left.subject == right.subject
            && ByteString("\(left.call)") == ByteString("\(right.call)")
    }

    /// The failure in the words of the program that met it: `unable to open ./run`, say.
    public func explained(_ text: ByteString, exitCode: Int32 = 111) -> Failure {
        Failure(text, errno, exitCode: exitCode)
    }
}

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
