import Bytes
import Linux

/// What the scan directory holds under some name: a service and perhaps its logger, with the pipe
/// between them, which lives as long as either, so that neither's restart loses a line.
final class ScanEntry {
    /// The name it was first seen by.
    let name: ByteString
    /// Which directory it is, whatever its names.
    let identity: FileStatus.Identity
    /// Whether there is a logger; decided when first seen.
    let isLogged: Bool
    /// Whether the last scan saw it.
    var isPresent = true
    /// Before when it is not supervised again, having been told to end.
    var restUntil = Instant(nanoseconds: 0)
    /// The service, while it is supervised.
    var service: Service?
    /// The logger, while it is supervised.
    var logger: Service?
    /// Where the service writes, once the pipe is made and until nobody will write again.
    var writer: Descriptor?
    /// Where the logger reads.
    var reader: Descriptor?

    init(name: ByteString, identity: FileStatus.Identity, isLogged: Bool) {
        self.name = name
        self.identity = identity
        self.isLogged = isLogged
    }

    /// Makes the pipe between service and logger.
    func makePipe() throws(SystemError) {
        let pipe = try Pipe()
        writer = consume pipe.writer
        reader = consume pipe.reader
    }

    /// The number of `writer`.
    var writerNumber: Int32? {
        switch writer {
        case .some(let writer): writer.number
        case .none: nil
        }
    }

    /// The number of `reader`.
    var readerNumber: Int32? {
        switch reader {
        case .some(let reader): reader.number
        case .none: nil
        }
    }

    /// Whether the logger is all that is left of it, is told to end, and the directory is gone.
    var isForsaken: Bool {
        !isPresent && service == nil && logger?.machine.isLeaving == true
    }

    /// Whether nothing of it is supervised.
    var isIdle: Bool { service == nil && logger == nil }

    /// Whether all of it is supervised.
    var isComplete: Bool { service != nil && (logger != nil || !isLogged) }
}
