import Bytes
import Linux

/// The pipe between a service and its logger, as long as this process holds an end of it.
final class LogPipe {
    private(set) var writer: Descriptor?
    private(set) var reader: Descriptor?

    private static let permissions: UInt32 = 0o622

    /// Whether a FIFO is like one that was made here by a process of the same user.
    static func isOne(_ status: FileStatus) -> Bool {
        status.isFIFO && status.user == CurrentProcess.effectiveUser
            && status.mode & 0o7777 == permissions
    }

    /// Makes the pipe. Other users may write to it: a service that runs as one of them may open
    /// /dev/stdout, which is the pipe. pipe2(2), fchmod(2).
    init() throws(SystemError) {
        let pipe = try Pipe()
        try setPermissions(pipe.writer, LogPipe.permissions)
        writer = consume pipe.writer
        reader = consume pipe.reader
    }

    /// One that another image of this process made, as far as it was still held.
    init(adopting reader: consuming Descriptor?, writer: consuming Descriptor?) {
        self.writer = writer
        self.reader = reader
    }

    /// The number of the end that the service writes to; nil when it is closed.
    var writerNumber: Int32? {
        switch writer {
        case .some(let writer): writer.number
        case .none: nil
        }
    }

    /// The number of the end that the logger reads from; nil when it is closed.
    var readerNumber: Int32? {
        switch reader {
        case .some(let reader): reader.number
        case .none: nil
        }
    }

    /// Closes the end that the service writes to.
    func closeWriter() { writer = nil }

    /// Closes the end that the logger reads from.
    func closeReader() { reader = nil }
}
