import Bytes
import Linux

/// Lines for people on standard error, in the family's form: `NAME: warning: TEXT: CAUSE`. Whatever names
/// they have in them, each is one line (`ByteString.visible`), goes out in one write, and a failure to write it is the one error with nobody to tell.
public struct Messages: Sendable {
    /// The program's name, the last component of argument zero.
    public let program: ByteString

    /// Messages of the program called `program`.
    public init(program: ByteString) { self.program = program }

    /// How much is said: 0 for what is fatal, 1 for warnings too, 2 for all.
    public var verbosity = 2
    private var mayWait = true
    private var descriptor = Standard.error
    /// Makes of a line, which is visible, all that is written for it; nil to write it as it is.
    public var form: (@Sendable (ByteString) -> [UInt8])?

    /// The same for a process that must not block: a line for which there is no room at once, because
    /// whoever reads standard error does not, is dropped. A pipe or terminal is opened anew for that, once
    /// and for as long as the process lives.
    public var nonBlocking: Messages {
        if !mayWait { return self }
        var messages = self
        messages.mayWait = false
        messages.descriptor = reopenWithoutWaiting(Standard.error) ?? Standard.error
        return messages
    }

    /// What a program about to end says; see `Failure.Form`.
    public func report(_ failure: Failure) {
        switch failure.form {
        case .fatal: write("fatal", failure.text, failure.errno)
        case .usage: write("usage", failure.text, failure.errno)
        case .usageOfRunit: emit("usage: \(program) \(failure.text)", end: "\n\n")
        }
    }

    /// `NAME: warning: …`, for a program that goes on.
    public func warning(_ text: ByteString, _ errno: Errno? = nil) {
        if verbosity > 0 { write("warning", text, errno) }
    }

    /// `NAME: info: …`.
    public func information(_ text: ByteString) {
        if verbosity > 1 { write("info", text, nil) }
    }

    /// A line without a severity: `NAME: TEXT`.
    public func line(_ text: ByteString) { emit("\(program): \(text)") }

    private func write(_ severity: StaticString, _ text: ByteString, _ errno: Errno?) {
        if let errno {
            emit("\(program): \(severity): \(text): \(errno.text)")
        } else {
            emit("\(program): \(severity): \(text)")
        }
    }

    private func emit(_ line: ByteString, end: ByteString = "\n") {
        let bytes = form.map { $0(line.visible) } ?? Array(line.visible.bytes + end.bytes)
        // There is nobody to tell of an error.
        do throws(SystemError) {
            if mayWait {
                try writeAll(descriptor, bytes)
            } else {
                try writeWithoutWaiting(descriptor, bytes)
            }
        } catch {}
    }
}
