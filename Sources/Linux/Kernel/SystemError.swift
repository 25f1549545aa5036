import Bytes

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
}
