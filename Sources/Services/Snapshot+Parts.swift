import Bytes
import Formats

// How the parts of a conductor are written to a snapshot, and read from one.

extension Service {
    func write(to writer: inout SnapshotWriter) {
        writer.write(name)
        standing.write(to: &writer)
        machine.write(to: &writer)
        writer.write(isOpen)
        writer.write(isChecked)
        writer.write(since.seconds)
        writer.write(since.nanoseconds)
        writer.write(readySince) {
            $0.write($1.seconds)
            $0.write($1.nanoseconds)
        }
        writer.write(isShownBlocked)
        writer.write(connection.rawValue)
        writer.write(startError)
    }

    init(from reader: inout SnapshotReader) throws(SnapshotError) {
        name = try reader.text()
        standing = try Standing(from: &reader)
        machine = try ServiceMachine(from: &reader)
        isOpen = try reader.flag()
        isChecked = try reader.flag()
        since = TAI64N(label: try reader.number(), nanoseconds: try reader.number())
        readySince = try reader.optional { (reader) throws(SnapshotError) in
            TAI64N(label: try reader.number(), nanoseconds: try reader.number())
        }
        isShownBlocked = try reader.flag()
        connection = try reader.word()
        startError = try reader.number()
    }
}

extension Standing {
    fileprivate func write(to writer: inout SnapshotWriter) {
        switch self {
        case .single: writer.write(UInt8(0))
        case .main(let pair):
            writer.write(UInt8(1))
            writer.write(UInt32(pair.index))
        case .logger(let pair):
            writer.write(UInt8(2))
            writer.write(UInt32(pair.index))
        case .command: writer.write(UInt8(3))
        }
    }

    fileprivate init(from reader: inout SnapshotReader) throws(SnapshotError) {
        switch try reader.number(UInt8.self) {
        case 0: self = .single
        case 1: self = .main(PairID(Int(try reader.number(UInt32.self))))
        case 2: self = .logger(PairID(Int(try reader.number(UInt32.self))))
        case 3: self = .command
        default: throw .damaged
        }
    }
}

extension ServicePair {
    func write(to writer: inout SnapshotWriter) {
        writer.write(name)
        identity.write(to: &writer)
        writer.write(path)
        for flag in [isPresent, isReplaced, isLogged, hasWriter, hasReader, isBeingCompleted] {
            writer.write(flag)
        }
        writer.write(overdue) { $0.write($1) }
        writer.write(log) { $1.write(to: &$0) }
        writer.write(restUntil)
        writer.write(filling) {
            $0.write($1.signature) { $0.write($1) }
            $0.write($1.nextLook)
            $0.write($1.limit)
        }
        for id in [service, logger] { writer.write(id) { $0.write(UInt32($1.index)) } }
        for complaint in [serviceComplaint, loggerComplaint] {
            writer.write(complaint) { $1.write(to: &$0) }
        }
    }

    init(from reader: inout SnapshotReader) throws(SnapshotError) {
        name = try reader.text()
        identity = try FileID(from: &reader)
        path = try reader.text()
        isPresent = try reader.flag()
        isReplaced = try reader.flag()
        isLogged = try reader.flag()
        hasWriter = try reader.flag()
        hasReader = try reader.flag()
        isBeingCompleted = try reader.flag()
        overdue = try reader.optional { (reader) throws(SnapshotError) in try reader.number() }
        log = try reader.optional { (reader) throws(SnapshotError) in
            try FileID(from: &reader)
        }
        restUntil = try reader.number()
        filling = try reader.optional { (reader) throws(SnapshotError) in
            Filling(
                signature: try reader.optional { (reader) throws(SnapshotError) in
                    try reader.number()
                },
                nextLook: try reader.number(), limit: try reader.number())
        }
        service = try ServicePair.id(from: &reader)
        logger = try ServicePair.id(from: &reader)
        serviceComplaint = try ServicePair.complaint(from: &reader)
        loggerComplaint = try ServicePair.complaint(from: &reader)
    }

    private static func id(from reader: inout SnapshotReader) throws(SnapshotError) -> ServiceID? {
        try reader.optional { (reader) throws(SnapshotError) in
            ServiceID(Int(try reader.number(UInt32.self)))
        }
    }

    private static func complaint(from reader: inout SnapshotReader) throws(SnapshotError)
        -> Complaint?
    {
        try reader.optional { (reader) throws(SnapshotError) in try Complaint(from: &reader) }
    }
}

extension ScanState {
    func write(to writer: inout SnapshotWriter) {
        writer.write(directory) { $1.write(to: &$0) }
        writer.write(looksForLogs)
        writer.write(due) { $0.write($1) }
        writer.write(rest)
        writer.write(UInt32(complaints.count))
        for (name, complaint) in complaints {
            writer.write(name)
            complaint.write(to: &writer)
        }
    }

    init(from reader: inout SnapshotReader) throws(SnapshotError) {
        directory = try reader.optional { (reader) throws(SnapshotError) in
            try FileID(from: &reader)
        }
        looksForLogs = try reader.flag()
        due = try reader.optional { (reader) throws(SnapshotError) in try reader.number() }
        rest = try reader.number()
        for _ in 0..<(try reader.number(UInt32.self)) {
            let name = try reader.text()
            complaints[name] = try Complaint(from: &reader)
        }
    }
}

extension FileID {
    func write(to writer: inout SnapshotWriter) {
        writer.write(device)
        writer.write(inode)
    }

    init(from reader: inout SnapshotReader) throws(SnapshotError) {
        self.init(device: try reader.number(), inode: try reader.number())
    }
}

extension Complaint {
    func write(to writer: inout SnapshotWriter) {
        writer.write(text)
        writer.write(errno)
    }

    init(from reader: inout SnapshotReader) throws(SnapshotError) {
        self.init(try reader.text(), errno: try reader.number())
    }
}
