import Bytes

// djb's constant database: a header of 256 (position, slots) pairs, the records, then 256 hash
// tables in order. All numbers are 32-bit little-endian. cdb(5).

/// The hash of a key.
func cdbHash(_ key: some Sequence<UInt8>) -> UInt32 {
    var hash: UInt32 = 5381
    for byte in key { hash = (hash << 5 &+ hash) ^ UInt32(byte) }
    return hash
}

private let headerSize = 2048

/// Lays records out byte for byte as cdb_make does. Keys may repeat; the first one added is the one
/// found. The file comes out in pieces, so that only eight bytes are kept for each record.
public struct CDBBuilder {
    private struct Entry {
        let hash: UInt32
        let position: UInt32
    }

    /// What of the file has not been taken. It begins with room for the header.
    private var pending = [UInt8](repeating: 0, count: headerSize)
    /// How many bytes were taken before `pending`.
    private var taken = 0
    private var entries: [Entry] = []

    /// A database without records.
    public init() {}

    /// Adds a record. Returns false, with nothing added, when the file would pass 4 GiB.
    public mutating func add(key: some Collection<UInt8>, data: some Collection<UInt8>) -> Bool {
        let start = taken + pending.count
        let size = start + 8 + key.count + data.count + 16 * (entries.count + 1)
        guard size <= Int(UInt32.max) else { return false }
        entries.append(Entry(hash: cdbHash(key), position: UInt32(start)))
        append(UInt32(key.count))
        append(UInt32(data.count))
        pending.append(contentsOf: key)
        pending.append(contentsOf: data)
        return true
    }

    /// Calls `body` with the next piece of the file once there is a block's worth of it.
    public mutating func takeBlock<Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        if pending.count >= 65536 { try takeAll(body) }
    }

    /// Calls `body` with the rest of the file, in pieces, and returns the header, which takes the place of
    /// the file's first bytes.
    public consuming func finish<Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) -> [UInt8] {
        var header: [UInt8] = []
        sortByTable()
        var first = 0
        for table in 0..<UInt32(256) {
            var end = first
            while end < entries.count && entries[end].hash & 255 == table { end += 1 }
            let slots = (end - first) * 2
            CDBBuilder.append(UInt32(taken + pending.count), to: &header)
            CDBBuilder.append(UInt32(slots), to: &header)
            appendTable(of: first..<end, slots)
            try takeBlock(body)
            first = end
        }
        try takeAll(body)
        return header
    }

    private mutating func takeAll<Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        try pending.withUnsafeBufferPointer { (bytes) throws(Failure) in
            try body(UnsafeRawBufferPointer(bytes))
        }
        taken += pending.count
        pending.removeAll(keepingCapacity: true)
    }

    /// Puts the entries in the order of their tables, those of one table in the order they came.
    private mutating func sortByTable() {
        var places = [Int](repeating: 0, count: 257)
        for entry in entries { places[Int(entry.hash & 255) + 1] += 1 }
        for table in 0..<256 { places[table + 1] += places[table] }
        var sorted = entries
        for entry in entries {
            let table = Int(entry.hash & 255)
            sorted[places[table]] = entry
            places[table] += 1
        }
        entries = sorted
    }

    private mutating func appendTable(of range: Range<Int>, _ slots: Int) {
        if slots == 0 { return }
        var table = [Entry](repeating: Entry(hash: 0, position: 0), count: slots)
        for entry in entries[range] {
            var slot = Int(entry.hash >> 8) % slots
            // No record is at position 0: that slot is free.
            while table[slot].position != 0 { slot = slot + 1 == slots ? 0 : slot + 1 }
            table[slot] = entry
        }
        for entry in table {
            append(entry.hash)
            append(entry.position)
        }
    }

    private mutating func append(_ number: UInt32) { CDBBuilder.append(number, to: &pending) }

    private static func append(_ number: UInt32, to bytes: inout [UInt8]) {
        for shift in stride(from: 0 as UInt32, to: 32, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: number >> shift))
        }
    }
}
