import Bytes
import Formats
import Linux
import Services

/// What the supervisor holds in the kernel, besides what its conductor knows: as it is written to the journal, after it
/// was opened and before it is closed. A later fact about the same takes the place of an earlier one. Numbers are -1
/// for what there is none of.
enum HeldFact: Equatable {
    /// The directory of a service, and the descriptors of its `supervise`.
    case service(ServiceID, name: ByteString, Place, ServiceNumbers, isDownFile: Bool)
    /// What an earlier supervisor left running, until the service is started for the first time.
    indirect case predecessor(ServiceID, Predecessor)
    /// A service is held no more.
    case closed(ServiceID)
    /// The pipe to a logger.
    case pipe(PairID, reader: Int32, writer: Int32)
    /// The pipe of a pipeline, by the name of the service that reads, and who uses it.
    case pipeline(ByteString, reader: Int32, writer: Int32, users: [ServiceID])
    /// What a service has besides.
    indirect case extras(ServiceID, ExtraNumbers)
    /// The pipes of a service to the process that puts names before lines.
    case output(ServiceID, OutputNumbers)
    /// That process, and the socket over which it gets the pipes.
    case outputLogger(ProcessID, socket: Int32)
    /// What svscanctl writes to, in this directory.
    case scanControl(lock: Int32, control: Int32, FileID)
    /// The environment of the services, where it is not what this process was started with.
    case environment([ByteString])

    /// The descriptors of a service directory.
    struct ServiceNumbers: Equatable {
        var place: Int32
        var supervise: Int32 = -1
        var lock: Int32 = -1
        var control: Int32 = -1
        var ok: Int32 = -1
    }

    /// The ends of a service's pipes to the process that puts names before lines.
    struct OutputNumbers: Equatable {
        var reader: Int32 = -1
        var writer: Int32 = -1
        var errorReader: Int32 = -1
        var errorWriter: Int32 = -1
    }

    /// The descriptors that only services have that ask for more than `run`.
    struct ExtraNumbers: Equatable {
        /// The reading end of the pipe by which it tells that it is ready.
        var reader: Int32 = -1
        /// The socket of sd_notify(3), and its address.
        var socket: Int32 = -1
        var address: ByteString = ""
        /// The sockets that it listens on.
        var sockets: [(number: Int32, ServiceDefinition.Socket)] = []
        /// What it left with the supervisor.
        var stored: [(number: Int32, name: ByteString, isPolled: Bool)] = []

        static func == (left: ExtraNumbers, right: ExtraNumbers) -> Bool {
            left.reader == right.reader && left.socket == right.socket
                && left.address == right.address
                && left.sockets.elementsEqual(right.sockets) { $0 == $1 }
                && left.stored.elementsEqual(right.stored) { $0 == $1 }
        }
    }

    /// The descriptors that it names.
    var numbers: [Int32] {
        switch self {
        case .service(_, _, _, let numbers, _):
            [numbers.place, numbers.supervise, numbers.lock, numbers.control, numbers.ok]
        case .closed, .predecessor, .environment: []
        case .pipe(_, let reader, let writer), .pipeline(_, let reader, let writer, _):
            [reader, writer]
        case .extras(_, let extras):
            [extras.reader, extras.socket] + extras.sockets.map { $0.number }
                + extras.stored.map { $0.number }
        case .output(_, let ends):
            [ends.reader, ends.writer, ends.errorReader, ends.errorWriter]
        case .outputLogger(_, let socket): [socket]
        case .scanControl(let lock, let control, _): [lock, control]
        }
    }
}

// MARK: - As it is written

extension HeldFact {
    /// As it stands in the journal.
    var bytes: [UInt8] {
        var writer = SnapshotWriter()
        switch self {
        case .service(let id, let name, let place, let numbers, let isDownFile):
            writer.write(UInt8(0))
            writer.write(UInt32(id.index))
            writer.write(name)
            place.write(to: &writer)
            for number in self.numbers { writer.write(number) }
            _ = numbers
            writer.write(isDownFile)
        case .closed(let id):
            writer.write(UInt8(1))
            writer.write(UInt32(id.index))
        case .pipe(let pair, let reader, let end):
            writer.write(UInt8(2))
            writer.write(UInt32(pair.index))
            writer.write(reader)
            writer.write(end)
        case .extras(let id, let extras):
            writer.write(UInt8(3))
            writer.write(UInt32(id.index))
            extras.write(to: &writer)
        case .scanControl(let lock, let control, let identity):
            writer.write(UInt8(4))
            writer.write(lock)
            writer.write(control)
            writer.write(identity.device)
            writer.write(identity.inode)
        case .environment(let entries):
            writer.write(UInt8(5))
            writer.write(entries) { $0.write($1) }
        case .output(let id, _):
            writer.write(UInt8(6))
            writer.write(UInt32(id.index))
            for number in numbers { writer.write(number) }
        case .pipeline(let name, _, _, let users):
            writer.write(UInt8(8))
            writer.write(name)
            for number in numbers { writer.write(number) }
            writer.write(users) { $0.write(UInt32($1.index)) }
        case .outputLogger(let pid, let socket):
            writer.write(UInt8(7))
            writer.write(pid)
            writer.write(socket)
        case .predecessor(let id, let found):
            writer.write(UInt8(9))
            writer.write(UInt32(id.index))
            found.write(to: &writer)
        }
        return writer.bytes
    }

    /// Reads what was written.
    init(_ bytes: [UInt8]) throws(SnapshotError) {
        var reader = SnapshotReader(bytes[...])
        switch try reader.number(UInt8.self) {
        case 0:
            let id = try reader.service()
            let name = try reader.text()
            let place = try Place(from: &reader)
            let numbers = ServiceNumbers(
                place: try reader.descriptor(), supervise: try reader.descriptor(),
                lock: try reader.descriptor(), control: try reader.descriptor(),
                ok: try reader.descriptor())
            self = .service(id, name: name, place, numbers, isDownFile: try reader.flag())
        case 1: self = .closed(try reader.service())
        case 2:
            self = .pipe(
                try reader.pair(), reader: try reader.descriptor(),
                writer: try reader.descriptor())
        case 3: self = .extras(try reader.service(), try ExtraNumbers(from: &reader))
        case 4:
            self = .scanControl(
                lock: try reader.descriptor(), control: try reader.descriptor(),
                FileID(device: try reader.number(), inode: try reader.number()))
        case 5:
            self = .environment(
                try reader.list { (reader) throws(SnapshotError) in try reader.text() })
        case 6:
            let id = try reader.service()
            self = .output(
                id,
                OutputNumbers(
                    reader: try reader.descriptor(), writer: try reader.descriptor(),
                    errorReader: try reader.descriptor(), errorWriter: try reader.descriptor()))
        case 7:
            let pid: Int32 = try reader.number()
            guard pid >= 0 else { throw .damaged }
            self = .outputLogger(pid, socket: try reader.descriptor())
        case 8:
            self = .pipeline(
                try reader.text(), reader: try reader.descriptor(),
                writer: try reader.descriptor(),
                users: try reader.list { (reader) throws(SnapshotError) in try reader.service() })
        case 9: self = .predecessor(try reader.service(), try Predecessor(from: &reader))
        default: throw .damaged
        }
        guard reader.isAtEnd else { throw .damaged }
    }
}

extension HeldFact.ExtraNumbers {
    fileprivate func write(to writer: inout SnapshotWriter) {
        writer.write(reader)
        writer.write(socket)
        writer.write(address)
        writer.write(sockets) {
            $0.write($1.number)
            $0.write($1.1.kind.rawValue)
            $0.write($1.1.address)
            $0.write($1.1.name)
        }
        writer.write(stored) {
            $0.write($1.number)
            $0.write($1.name)
            $0.write($1.isPolled)
        }
    }

    fileprivate init(from source: inout SnapshotReader) throws(SnapshotError) {
        reader = try source.descriptor()
        socket = try source.descriptor()
        address = try source.text()
        sockets = try source.list { (source) throws(SnapshotError) in
            let number = try source.descriptor()
            guard let kind = ServiceDefinition.Socket.Kind(rawValue: try source.number()) else {
                throw .damaged
            }
            return (
                number,
                ServiceDefinition.Socket(
                    kind: kind, address: try source.text(), name: try source.text())
            )
        }
        stored = try source.list { (source) throws(SnapshotError) in
            (try source.descriptor(), try source.text(), isPolled: try source.flag())
        }
    }
}

extension Predecessor {
    fileprivate func write(to writer: inout SnapshotWriter) {
        writer.write(pid)
        writer.write(since.seconds)
        writer.write(since.nanoseconds)
        writer.write(isReady)
    }

    fileprivate init(from reader: inout SnapshotReader) throws(SnapshotError) {
        let pid: Int32 = try reader.number()
        guard pid > 1 else { throw .damaged }
        self.init(
            pid: pid,
            since: TAI64N(label: try reader.number(), nanoseconds: try reader.number()),
            isReady: try reader.flag())
    }
}

extension SnapshotReader {
    /// A descriptor that is none of the first three, or -1.
    fileprivate mutating func descriptor() throws(SnapshotError) -> Int32 {
        let number: Int32 = try number()
        guard number == -1 || number > Standard.error else { throw .damaged }
        return number
    }
}
