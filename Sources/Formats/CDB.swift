import Bytes

// djb's constant database: a header of 256 (position, slots) pairs, the records, then 256 hash
// tables in order. All numbers are 32-bit little-endian. cdb(5).

/// The hash of a key.
func cdbHash(_ key: some Sequence<UInt8>) -> UInt32 {
    key.reduce(5381) { hash, byte in (hash << 5 &+ hash) ^ UInt32(byte) }
}

private let headerSize = 2048

/// Collects records and lays them out byte for byte as cdb_make does. Keys may repeat; the first one
/// added is the one found.
public struct CDBBuilder {
    private struct Entry {
        let hash: UInt32
        let position: UInt32
    }

    private var bytes: [UInt8]
    private var tables = [[Entry]](repeating: [], count: 256)
    private var records = 0

    /// A database without records.
    public init() { bytes = [UInt8](repeating: 0, count: headerSize) }

    /// Adds a record. Returns false, with nothing added, when the file would pass 4 GiB.
    public mutating func add(key: some Collection<UInt8>, data: some Collection<UInt8>) -> Bool {
        let size = bytes.count + 8 + key.count + data.count + 16 * (records + 1)
        guard size <= Int(UInt32.max) else { return false }
        records += 1
        let hash = cdbHash(key)
        tables[Int(hash & 255)].append(Entry(hash: hash, position: UInt32(bytes.count)))
        append(UInt32(key.count))
        append(UInt32(data.count))
        bytes.append(contentsOf: key)
        bytes.append(contentsOf: data)
        return true
    }

    /// The file.
    public consuming func finish() -> [UInt8] {
        for (index, table) in tables.enumerated() {
            write(UInt32(bytes.count), at: index * 8)
            write(UInt32(table.count * 2), at: index * 8 + 4)
            append(table)
        }
        return bytes
    }

    private mutating func append(_ table: [Entry]) {
        let slots = table.count * 2
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: slots * 8))
        var taken = [Bool](repeating: false, count: slots)
        for entry in table {
            var slot = Int(entry.hash >> 8) % slots
            while taken[slot] { slot = slot + 1 == slots ? 0 : slot + 1 }
            taken[slot] = true
            write(entry.hash, at: start + slot * 8)
            write(entry.position, at: start + slot * 8 + 4)
        }
    }

    private mutating func append(_ number: UInt32) {
        bytes.append(contentsOf: repeatElement(0, count: 4))
        write(number, at: bytes.count - 4)
    }

    private mutating func write(_ number: UInt32, at position: Int) {
        for byte in 0..<4 {
            bytes[position + byte] = UInt8(truncatingIfNeeded: number >> UInt32(8 * byte))
        }
    }
}

/// Where the bytes of a database come from.
public protocol CDBSource: ~Copyable {
    /// How reading fails.
    associatedtype Failure: Error
    /// The length of the file in bytes.
    var count: Int { get }
    /// The `count` bytes at `position`, which lie inside the file. Valid until the next call.
    mutating func bytes(at position: Int, count: Int) throws(Failure) -> UnsafeRawBufferPointer
}

/// Why nothing can be said about a key.
public enum CDBError<Failure: Error>: Error {
    /// The file could not be read.
    case unreadable(Failure)
    /// The file is not a whole, undamaged database.
    case corrupt
}

/// Looks keys up. Access is decided by what is found, so a damaged file must not look like one
/// without the key: everything a look-up passes is checked against the layout cdb_make leaves.
public struct CDBReader<Source: CDBSource & ~Copyable>: ~Copyable {
    private var source: Source
    /// Where the records end and the tables begin.
    private var recordsEnd = headerSize

    /// Reads and checks the header: the tables follow each other and end the file.
    public init(_ source: consuming Source) throws(CDBError<Source.Failure>) {
        self.source = source
        guard self.source.count >= headerSize else { throw .corrupt }
        let header = try self.source.part(0, headerSize)
        let first = number(header, 0)
        var next = first
        for table in 0..<256 {
            guard number(header, table * 8) == next else { throw .corrupt }
            next += number(header, table * 8 + 4) * 8
        }
        guard first >= headerSize, next == self.source.count else { throw .corrupt }
        recordsEnd = first
    }

    /// The data of the first record with this key, valid until the next call; nil when there is none.
    public mutating func find(_ key: UnsafeRawBufferPointer) throws(CDBError<Source.Failure>)
        -> UnsafeRawBufferPointer?
    {
        let hash = cdbHash(key)
        let (table, slots) = try table(of: hash)
        if slots == 0 { return nil }
        try checkOccupancy(table, slots)
        var slot = Int(hash >> 8) % slots
        for _ in 0..<slots {
            let entry = try source.part(table + slot * 8, 8)
            let (entryHash, position) = (number(entry, 0), number(entry, 4))
            if position == 0 { return nil }
            if let data = try record(position, hash: UInt32(entryHash), key: key) { return data }
            slot = slot + 1 == slots ? 0 : slot + 1
        }
        return nil
    }

    /// Where the hash table is that leads to records with this hash, and how many slots it has.
    private mutating func table(of hash: UInt32) throws(CDBError<Source.Failure>) -> (Int, Int) {
        let pair = try source.part(Int(hash & 255) * 8, 8)
        return (number(pair, 0), number(pair, 4))
    }

    /// Half of the slots are taken, no more and no fewer.
    private mutating func checkOccupancy(_ table: Int, _ slots: Int)
        throws(CDBError<Source.Failure>)
    {
        var taken = 0
        var slot = 0
        while slot < slots {
            let chunk = min(slots - slot, 512)
            let entries = try source.part(table + slot * 8, chunk * 8)
            for entry in 0..<chunk where number(entries, entry * 8 + 4) != 0 { taken += 1 }
            slot += chunk
        }
        guard taken * 2 == slots else { throw .corrupt }
    }

    /// The data of the record at `position` if it has this key. Its key must have the hash by which
    /// the table led here, and another record, or the tables, must follow it: else a rule that denies
    /// could lose its data.
    private mutating func record(_ position: Int, hash: UInt32, key: UnsafeRawBufferPointer)
        throws(CDBError<Source.Failure>) -> UnsafeRawBufferPointer?
    {
        let (keyCount, dataCount) = try lengths(position)
        let end = position + 8 + keyCount + dataCount
        if end != recordsEnd { try checkRecord(end) }
        let found = try source.part(position + 8, keyCount)
        guard cdbHash(found) == hash else { throw .corrupt }
        guard found.elementsEqual(key) else { return nil }
        return try source.part(position + 8 + keyCount, dataCount)
    }

    /// A table leads to `position`, by the hash of the key there: a record begins.
    private mutating func checkRecord(_ position: Int) throws(CDBError<Source.Failure>) {
        let hash = cdbHash(try source.part(position + 8, lengths(position).key))
        let (table, slots) = try table(of: hash)
        for slot in 0..<slots {
            let entry = try source.part(table + slot * 8, 8)
            if number(entry, 4) == position && number(entry, 0) == hash { return }
        }
        throw .corrupt
    }

    private mutating func lengths(_ position: Int) throws(CDBError<Source.Failure>)
        -> (key: Int, data: Int)
    {
        guard position >= headerSize, position + 8 <= recordsEnd else { throw .corrupt }
        let pair = try source.part(position, 8)
        let (key, data) = (number(pair, 0), number(pair, 4))
        guard position + 8 + key + data <= recordsEnd else { throw .corrupt }
        return (key, data)
    }
}

extension CDBSource where Self: ~Copyable {
    fileprivate mutating func part(_ position: Int, _ length: Int) throws(CDBError<Failure>)
        -> UnsafeRawBufferPointer
    {
        guard position + length <= count else { throw .corrupt }
        do throws(Failure) { return try bytes(at: position, count: length) } catch {
            throw .unreadable(error)
        }
    }
}

private func number(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> Int {
    Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
}
