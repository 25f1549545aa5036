/// Where the bytes of a database come from.
public protocol CDBSource: ~Copyable {
    /// How reading fails.
    associatedtype Failure: Error
    /// The length of the file in bytes.
    var count: Int { get }
    /// The `count` bytes at `position`, which lie inside the file. Valid until the next call.
    mutating func bytes(at position: Int, count: Int) throws(Failure) -> UnsafeRawBufferPointer
    /// Told before and after all of the file is read from its start to its end.
    mutating func expectScan(_ isScanned: Bool)
}

/// Why nothing can be said about a key.
public enum CDBError<Failure: Error>: Error {
    /// The file could not be read.
    case unreadable(Failure)
    /// The file is not a whole, undamaged database.
    case corrupt
}

/// Looks keys up, as cdb_find of the original does. Access is decided by what is found, so a damaged file
/// must not look like one without the key: call `verify` once before the first look-up.
public struct CDBReader<Source: CDBSource & ~Copyable>: ~Copyable {
    private static var headerSize: Int { 2048 }
    private var source: Source
    /// Where the records end and the tables begin.
    private var recordsEnd = headerSize

    /// Reads and checks the header: the tables follow each other and end the file.
    public init(_ source: consuming Source) throws(CDBError<Source.Failure>) {
        self.source = source
        guard self.source.count >= Self.headerSize else { throw .corrupt }
        let header = try self.source.part(0, Self.headerSize)
        let first = number(header, 0)
        var next = first
        for table in 0..<256 {
            guard number(header, table * 8) == next else { throw .corrupt }
            next += number(header, table * 8 + 4) * 8
        }
        guard first >= Self.headerSize, next == self.source.count else { throw .corrupt }
        recordsEnd = first
    }

    /// The data of the first record with this key, valid until the next call; nil when there is none.
    public mutating func find(_ key: UnsafeRawBufferPointer) throws(CDBError<Source.Failure>)
        -> UnsafeRawBufferPointer?
    {
        let hash = cdbHash(key)
        let (table, slots) = try table(Int(hash & 255))
        if slots == 0 { return nil }
        var slot = Int(hash >> 8) % slots
        for _ in 0..<slots {
            let entry = try entry(table, slot)
            if entry.position == 0 { return nil }
            if entry.hash == hash, let data = try record(entry.position, key: key) { return data }
            slot = slot + 1 == slots ? 0 : slot + 1
        }
        return nil
    }

    /// The data of the record at `position`, if that has this key.
    private mutating func record(_ position: Int, key: UnsafeRawBufferPointer)
        throws(CDBError<Source.Failure>) -> UnsafeRawBufferPointer?
    {
        let (keyCount, dataCount) = try lengths(position)
        if keyCount != key.count { return nil }
        guard try source.part(position + 8, keyCount).elementsEqual(key) else { return nil }
        return try source.part(position + 8 + keyCount, dataCount)
    }

    // MARK: - The whole file

    /// Reads the whole file and throws if it is not the layout that cdb_make leaves: the records follow
    /// each other, and the tables lead to each of them, by its key's hash, and to nothing else. Data is not
    /// protected by a hash; who reads it must check it. Calls `visit` with each key.
    public mutating func verify(_ visit: (UnsafeRawBufferPointer) -> Void)
        throws(CDBError<Source.Failure>)
    {
        source.expectScan(true)
        defer { source.expectScan(false) }
        var places = PlaceDigest()
        var position = Self.headerSize
        while position < recordsEnd {
            let (keyCount, dataCount) = try lengths(position)
            let key = try source.part(position + 8, keyCount)
            places.add(cdbHash(key), position)
            visit(key)
            position += 8 + keyCount + dataCount
        }
        for table in 0..<256 { try verifyTable(table, &places) }
        guard places.isBalanced else { throw .corrupt }
    }

    /// Takes the table's entries out of `places`. A look-up that starts at an entry's own slot reaches the
    /// entry before a free one.
    private mutating func verifyTable(_ index: Int, _ places: inout PlaceDigest)
        throws(CDBError<Source.Failure>)
    {
        let (table, slots) = try table(index)
        if slots == 0 { return }
        var start = 0
        while try entry(table, start).position != 0 {
            start += 1
            if start == slots { throw .corrupt }
        }
        // From a free slot on, the distance at which the run of taken ones began.
        var runStart = 0
        var taken = 0
        for distance in 0..<slots {
            let entry = try entry(table, (start + distance) % slots)
            if entry.position == 0 {
                runStart = distance + 1
                continue
            }
            taken += 1
            places.remove(entry.hash, entry.position)
            let home = (Int(entry.hash >> 8) % slots - start + slots) % slots
            guard Int(entry.hash & 255) == index, (runStart...distance).contains(home) else {
                throw .corrupt
            }
        }
        guard taken * 2 == slots else { throw .corrupt }
    }

    // MARK: - Numbers

    /// Where a hash table is, and how many slots it has.
    private mutating func table(_ index: Int) throws(CDBError<Source.Failure>) -> (Int, Int) {
        let pair = try source.part(index * 8, 8)
        return (number(pair, 0), number(pair, 4))
    }

    private mutating func entry(_ table: Int, _ slot: Int) throws(CDBError<Source.Failure>)
        -> (hash: UInt32, position: Int)
    {
        let entry = try source.part(table + slot * 8, 8)
        return (UInt32(number(entry, 0)), number(entry, 4))
    }

    private mutating func lengths(_ position: Int) throws(CDBError<Source.Failure>)
        -> (key: Int, data: Int)
    {
        guard position >= Self.headerSize, position + 8 <= recordsEnd else { throw .corrupt }
        let pair = try source.part(position, 8)
        let (key, data) = (number(pair, 0), number(pair, 4))
        guard position + 8 + key + data <= recordsEnd else { throw .corrupt }
        return (key, data)
    }
}

/// Whether two sequences of hashes and positions hold the same, in whatever order: a sum of numbers that
/// each pair is scattered to.
private struct PlaceDigest {
    private var sum: UInt64 = 0
    private var count = 0

    var isBalanced: Bool { sum == 0 && count == 0 }

    mutating func add(_ hash: UInt32, _ position: Int) {
        sum &+= PlaceDigest.scattered(hash, position)
        count += 1
    }

    mutating func remove(_ hash: UInt32, _ position: Int) {
        sum &-= PlaceDigest.scattered(hash, position)
        count -= 1
    }

    /// The finalizer of SplitMix64.
    private static func scattered(_ hash: UInt32, _ position: Int) -> UInt64 {
        var bits = UInt64(hash) << 32 | UInt64(truncatingIfNeeded: position)
        bits = (bits ^ bits >> 30) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ bits >> 27) &* 0x94d0_49bb_1331_11eb
        return bits ^ bits >> 31
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
