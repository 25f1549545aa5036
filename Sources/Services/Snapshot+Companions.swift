import Bytes

// How what is done by programs beside services is written to a snapshot, and read from one.

extension Conductor {
    func writeCompanions(to writer: inout SnapshotWriter) {
        writer.write(companions.keys.sorted { $0.index < $1.index }) {
            $0.write(UInt32($1.index))
            companions[$1]?.write(to: &$0)
        }
    }

    mutating func readCompanions(from reader: inout SnapshotReader) throws(SnapshotError) {
        for (id, queue) in try reader.list({ (reader) throws(SnapshotError) in
            (ServiceID(Int(try reader.number(UInt32.self))), try CompanionQueue(from: &reader))
        }) {
            companions[id] = queue
        }
    }
}

extension CompanionQueue {
    fileprivate func write(to writer: inout SnapshotWriter) {
        writer.write(requests) { $1.write(to: &$0) }
        switch state {
        case .idle: writer.write(UInt8(0))
        case .starting: writer.write(UInt8(1))
        case .waiting(let time):
            writer.write(UInt8(2))
            writer.write(time)
        case .asking(let pid, let time):
            writer.write(UInt8(3))
            writer.write(pid)
            writer.write(time)
        }
    }

    fileprivate init(from reader: inout SnapshotReader) throws(SnapshotError) {
        let requests = try reader.list { (reader) throws(SnapshotError) in
            try Request(from: &reader)
        }
        let state: State
        switch try reader.number(UInt8.self) {
        case 0: state = .idle
        case 1: state = .starting
        case 2: state = .waiting(until: try reader.number())
        case 3: state = .asking(pid: try reader.process(), until: try reader.number())
        default: throw .damaged
        }
        self.init(requests: requests, state: state)
    }
}

extension CompanionQueue.Request {
    fileprivate func write(to writer: inout SnapshotWriter) {
        switch self {
        case .signal(let pid, let signal, let reach, let letter):
            writer.write(UInt8(0))
            writer.write(pid)
            writer.write(signal.rawValue)
            writer.write(reach.rawValue)
            writer.write(letter) { $0.write($1) }
        case .word(let letter):
            writer.write(UInt8(1))
            writer.write(letter)
        case .notice(.notify(let role, let death, let pid)):
            writer.write(UInt8(2))
            role.write(to: &writer)
            writer.write(death) { $1.write(to: &$0) }
            writer.write(pid)
        case .notice(.control(let letter)):
            writer.write(UInt8(3))
            writer.write(letter)
        }
    }

    fileprivate init(from reader: inout SnapshotReader) throws(SnapshotError) {
        switch try reader.number(UInt8.self) {
        case 0:
            self = .signal(
                pid: try reader.process(), ServiceSignal(rawValue: try reader.number()),
                try reader.word(),
                asking: try reader.optional { (reader) throws(SnapshotError) in
                    try reader.number()
                })
        case 1: self = .word(try reader.number())
        case 2:
            self = .notice(
                .notify(
                    try ProgramRole(from: &reader),
                    try reader.optional { (reader) throws(SnapshotError) in
                        try Death(from: &reader)
                    }, pid: try reader.process()))
        case 3: self = .notice(.control(try reader.number()))
        default: throw .damaged
        }
    }
}
