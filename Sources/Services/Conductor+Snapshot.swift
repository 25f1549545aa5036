import Bytes
import Formats

/// The whole conductor as bytes: a magic word, the version, the length and the checksum of what follows. Whoever
/// restores one goes on exactly as the one before would have.
extension Conductor {
    /// The version that is written, and the only one that is read.
    public static let snapshotVersion: UInt32 = 1
    private static let magic: UInt32 = 0x7375_7061  // "apus"
    static let headerSize = 20

    /// All that there is to remember.
    public func snapshot() -> [UInt8] {
        var body = SnapshotWriter()
        write(to: &body)
        return Conductor.sealed(body: body.bytes[...])
    }

    /// The bytes with the header that belongs to them.
    static func sealed(body: ArraySlice<UInt8>) -> [UInt8] {
        var header = SnapshotWriter()
        header.write(magic)
        header.write(snapshotVersion)
        header.write(UInt32(body.count))
        header.write(checksum(body))
        return header.bytes + body
    }

    /// Goes on from a snapshot; bytes after it do not matter.
    public init(snapshot: [UInt8]) throws(SnapshotError) {
        var header = SnapshotReader(snapshot[...])
        guard try header.number(UInt32.self) == Conductor.magic else { throw .damaged }
        guard try header.number(UInt32.self) == Conductor.snapshotVersion else { throw .version }
        let size = Int(try header.number(UInt32.self))
        let checksum = try header.number(UInt64.self)
        guard snapshot.count - Conductor.headerSize >= size else { throw .damaged }
        let body = snapshot[Conductor.headerSize..<(Conductor.headerSize + size)]
        guard Conductor.checksum(body) == checksum else { throw .damaged }
        var reader = SnapshotReader(body)
        try self.init(from: &reader)
        guard reader.isAtEnd else { throw .damaged }
    }

    /// FNV-1a, which notices a byte that was not written; it is no protection against somebody who wants in.
    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    private func write(to writer: inout SnapshotWriter) {
        configuration.write(to: &writer)
        writer.write(services.places) { $0.write($1) { $1.write(to: &$0) } }
        writer.write(pairs.places) { $0.write($1) { $1.write(to: &$0) } }
        scan.write(to: &writer)
        writer.write(definitions.keys.sorted { $0.index < $1.index }) {
            $0.write(UInt32($1.index))
            definitions[$1]?.write(to: &$0)
        }
        writer.write(texts.keys.sorted { $0.index < $1.index }) {
            $0.write(UInt32($1.index))
            $0.write(texts[$1] ?? "")
        }
        writeCompanions(to: &writer)
        writer.write(order.isStale)
        writer.write(order.mayRelease)
        writer.write(Array(order.complaints)) { $0.write($1) }
        writer.write(essentialCode) { $0.write($1) }
        writer.write(essentialReason) { $0.write($1) }
        writer.write(stop) { $1.write(to: &$0) }
        writer.write(ending.rawValue)
        writer.write(hasChildren)
        writer.write(hasKilled)
        writer.write(commandCode) { $0.write($1) }
        writer.write(commandDue) { $0.write($1) }
        writer.write(isOver)
    }

    private init(from reader: inout SnapshotReader) throws(SnapshotError) {
        self.init(try Configuration(from: &reader))
        services = Table(
            places: try reader.list { (reader) throws(SnapshotError) in
                try reader.optional { (reader) throws(SnapshotError) in try Service(from: &reader) }
            })
        pairs = Table(
            places: try reader.list { (reader) throws(SnapshotError) in
                try reader.optional { (reader) throws(SnapshotError) in
                    try ServicePair(from: &reader)
                }
            })
        scan = try ScanState(from: &reader)
        for (id, definition) in try reader.list({ (reader) throws(SnapshotError) in
            (
                ServiceID(Int(try reader.number(UInt32.self))),
                try ServiceDefinition(from: &reader)
            )
        }) {
            definitions[id] = definition
        }
        for (id, text) in try reader.list({ (reader) throws(SnapshotError) in
            (ServiceID(Int(try reader.number(UInt32.self))), try reader.text())
        }) {
            texts[id] = text
        }
        try readCompanions(from: &reader)
        let isStale = try reader.flag()
        let mayRelease = try reader.flag()
        order.complaints = Set(
            try reader.list { (reader) throws(SnapshotError) in try reader.text() })
        essentialCode = try reader.optional { (reader) throws(SnapshotError) in
            try reader.number()
        }
        essentialReason = try reader.optional { (reader) throws(SnapshotError) in
            try reader.text()
        }
        let bounds = bounds
        stop = try reader.optional { (reader) throws(SnapshotError) in
            try StopPlan(from: &reader, bounds)
        }
        guard let ending = Ending(rawValue: try reader.number()) else { throw .damaged }
        self.ending = ending
        hasChildren = try reader.flag()
        hasKilled = try reader.flag()
        commandCode = try reader.optional { (reader) throws(SnapshotError) in try reader.number() }
        commandDue = try reader.optional { (reader) throws(SnapshotError) in try reader.number() }
        isOver = try reader.flag()
        try connect()
        if isStale { order.isStale = true } else { remakeOrder() }
        order.mayRelease = mayRelease
    }

    /// Finds out again what follows from the rest, and whether it all fits together.
    private mutating func connect() throws(SnapshotError) {
        for index in services.indices {
            guard let service = services[index] else { continue }
            let id = ServiceID(index)
            let pid = service.machine.pid
            if pid != 0, processes.updateValue(id, forKey: pid) != nil { throw .damaged }
            switch service.standing {
            case .main(let pair) where pairs[pair.index]?.service != id: throw .damaged
            case .logger(let pair) where pairs[pair.index]?.logger != id: throw .damaged
            default: break
            }
        }
        for index in pairs.indices {
            guard let pair = pairs[index] else { continue }
            if let id = pair.service, services[id.index]?.standing != .main(PairID(index)) {
                throw .damaged
            }
            if let id = pair.logger, services[id.index]?.standing != .logger(PairID(index)) {
                throw .damaged
            }
        }
    }
}

extension Conductor.Configuration {
    fileprivate func write(to writer: inout SnapshotWriter) {
        writer.write(single) { $0.write($1) }
        writer.write(hasScanDirectory)
        writer.write(command) { $0.write($1) }
        writer.write(stopLimit)
        writer.write(stopReserve)
        writer.write(reachesOthers)
        writer.write(commandWaits)
        writer.write(commandPatience) { $0.write($1) }
    }

    fileprivate init(from reader: inout SnapshotReader) throws(SnapshotError) {
        let single = try reader.optional { (reader) throws(SnapshotError) in try reader.text() }
        let hasScanDirectory = try reader.flag()
        let command = try reader.optional { (reader) throws(SnapshotError) in try reader.text() }
        self.init(
            single: single, hasScanDirectory: hasScanDirectory, command: command,
            stopLimit: try reader.number(), stopReserve: try reader.number(),
            reachesOthers: try reader.flag())
        commandWaits = try reader.flag()
        commandPatience = try reader.limit()
        guard max(stopLimit, stopReserve) <= StopPlan.longest else { throw .damaged }
    }
}

extension StopPlan {
    fileprivate func write(to writer: inout SnapshotWriter) {
        writer.write(phase.rawValue)
        writer.write(start)
        writer.write(end)
    }

    fileprivate init(from reader: inout SnapshotReader, _ bounds: Bounds) throws(SnapshotError) {
        guard let phase = Phase(rawValue: try reader.number()) else { throw .damaged }
        self.init(phase: phase, start: try reader.number(), end: try reader.number(), bounds)
        guard start <= end, end <= 2 * StopPlan.longest else { throw .damaged }
    }
}
