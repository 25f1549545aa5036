import Testing

@testable import Formats

/// A database in memory.
struct MemorySource: CDBSource {
    private let storage: UnsafeMutableRawBufferPointer
    let count: Int
    var failsAfter = Int.max
    private(set) var isScanned = false

    struct Unreadable: Error, Equatable {}

    init(_ bytes: [UInt8]) {
        // Leaked on purpose: a test's few kilobytes.
        storage = .allocate(byteCount: bytes.count + 1, alignment: 16)
        storage.copyBytes(from: bytes)
        count = bytes.count
    }

    mutating func bytes(at position: Int, count: Int) throws(Unreadable) -> UnsafeRawBufferPointer {
        if failsAfter == 0 { throw Unreadable() }
        failsAfter -= 1
        precondition(position >= 0 && count >= 0 && position + count <= self.count)
        return UnsafeRawBufferPointer(rebasing: storage[position..<(position + count)])
    }

    mutating func expectScan(_ isScanned: Bool) { self.isScanned = isScanned }
}

/// The file that a builder lays out piece by piece.
func assemble(_ builder: consuming CDBBuilder) -> [UInt8] {
    var file: [UInt8] = []
    let header = builder.finish { file += $0 }
    return header + file[header.count...]
}

/// What a look-up says: the data, nil for no record, or an error.
func look(_ key: [UInt8], in bytes: [UInt8]) -> Result<[UInt8]?, CDBError<MemorySource.Unreadable>>
{
    Result { () throws(CDBError<MemorySource.Unreadable>) -> [UInt8]? in
        var reader = try CDBReader(MemorySource(bytes))
        try reader.verify { _ in }
        return try key.withUnsafeBufferPointer {
            (key) throws(CDBError<MemorySource.Unreadable>) -> [UInt8]? in
            try reader.find(UnsafeRawBufferPointer(key)).map { Array($0) }
        }
    }
}

@Suite struct CDBTests {
    private func build(_ records: [(String, String)]) -> [UInt8] {
        var builder = CDBBuilder()
        for (key, data) in records {
            let isAdded = builder.add(key: Array(key.utf8), data: Array(data.utf8))
            #expect(isAdded)
        }
        return assemble(builder)
    }

    private func found(_ key: String, _ bytes: [UInt8]) -> String? {
        switch look(Array(key.utf8), in: bytes) {
        case .success(let data): return data.map { String(decoding: $0, as: UTF8.self) }
        case .failure(let error):
            Issue.record(error)
            return nil
        }
    }

    @Test("The hash is djb's")
    func hash() {
        #expect(cdbHash([]) == 5381)
        #expect(cdbHash(Array("one".utf8)) == 0x0b875b81)
        #expect(cdbHash([0xff]) == (5381 * 33) ^ 0xff)
    }

    @Test("An empty database is its header and has no record")
    func empty() {
        let bytes = build([])
        #expect(bytes.count == 2048)
        #expect(found("", bytes) == nil)
        #expect(found("x", bytes) == nil)
    }

    @Test("Every record is found, the first of those with one key, and no other")
    func records() {
        let records =
            (0..<2000).map { ("key\($0)", "data\($0)") } + [("", "empty"), ("key7", "no")]
        let bytes = build(records)
        for (key, data) in records.dropLast() { #expect(found(key, bytes) == data) }
        for number in 2000..<3000 { #expect(found("key\(number)", bytes) == nil) }
    }

    @Test("Keys and data may be any bytes, also none")
    func anyBytes() throws {
        let all = [UInt8](0...255)
        var builder = CDBBuilder()
        let areAdded = builder.add(key: all, data: []) && builder.add(key: [], data: all)
        #expect(areAdded)
        let bytes = assemble(builder)
        #expect(try look(all, in: bytes).get() == [])
        #expect(try look([], in: bytes).get() == all)
        #expect(try look([0], in: bytes).get() == nil)
    }

    @Test("A file cut anywhere is corrupt, whatever is looked for")
    func truncated() {
        let bytes = build([("127.0.0.1", "D\0"), ("", "")])
        for count in 0..<bytes.count {
            for key in ["127.0.0.1", "", "absent"] {
                guard case .failure(.corrupt) = look(Array(key.utf8), in: Array(bytes[..<count]))
                else {
                    Issue.record("\(count) bytes are taken for a whole file")
                    return
                }
            }
        }
    }

    @Test("No changed byte makes a record look absent")
    func flipped() {
        let keys = ["127.0.0.1", "127.0.0.2", ""]
        let bytes = build(keys.map { ($0, "data") })
        for index in bytes.indices {
            for mask in [0x01, 0x80, 0xff] as [UInt8] {
                var damaged = bytes
                damaged[index] ^= mask
                for key in keys {
                    if case .success(nil) = look(Array(key.utf8), in: damaged) {
                        Issue.record("byte \(index) hides \(key)")
                    }
                }
            }
        }
    }

    @Test("A file taken in pieces is the file taken at once")
    func pieces() {
        var (whole, inPieces) = (CDBBuilder(), CDBBuilder())
        var file: [UInt8] = []
        var pieces = 0
        for number in 0..<20000 {
            let key = Array("key\(number)".utf8)
            let areAdded = whole.add(key: key, data: key) && inPieces.add(key: key, data: key)
            #expect(areAdded)
            inPieces.takeBlock {
                file += $0
                pieces += 1
            }
        }
        let header = inPieces.finish {
            file += $0
            pieces += 1
        }
        #expect(pieces > 10)
        #expect(header + file[header.count...] == assemble(whole))
    }

    @Test("Verifying visits every key, and finds records that no table leads to")
    func verifying() throws {
        let bytes = build((0..<300).map { ("key\($0)", "data\($0)") })
        var reader = try CDBReader(MemorySource(bytes))
        var visited: [String] = []
        try reader.verify { visited.append(String(decoding: $0, as: UTF8.self)) }
        #expect(visited == (0..<300).map { "key\($0)" })

        // Two slots of one table exchanged: the entry may be behind a free slot then.
        var found = 0
        for slot in 0..<256 {
            var swapped = bytes
            let tables = Int(bytes[0]) | Int(bytes[1]) << 8
            let first = tables + slot * 8
            if first + 16 > bytes.count { break }
            for offset in 0..<8 { swapped.swapAt(first + offset, first + 8 + offset) }
            if swapped == bytes { continue }
            var reader = try CDBReader(MemorySource(swapped))
            do throws(CDBError<MemorySource.Unreadable>) { try reader.verify { _ in } } catch {
                found += 1
                continue
            }
            // Whole all the same: then nothing is hidden.
            for number in 0..<300 {
                let data = try Array("key\(number)".utf8).withUnsafeBytes { try reader.find($0) }
                #expect(data != nil)
            }
        }
        #expect(found > 50)
    }

    @Test("Zeros and noise are corrupt and never read outside the file")
    func noise() {
        var seed: UInt64 = 1
        for size in [0, 1, 2047, 2048, 2049, 4096, 10000] {
            guard case .failure(.corrupt) = look([1], in: [UInt8](repeating: 0, count: size)) else {
                Issue.record("\(size) zeros are taken for a database")
                return
            }
            let noise = (0..<size).map { _ -> UInt8 in
                seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(truncatingIfNeeded: seed >> 33)
            }
            _ = look([1], in: noise)
        }
    }

    @Test("A source that fails is told apart from a corrupt file")
    func unreadable() {
        let bytes = build([("x", "y")])
        for after in 0..<3 {
            var source = MemorySource(bytes)
            source.failsAfter = after
            #expect(throws: CDBError<MemorySource.Unreadable>.self) {
                var reader = try CDBReader(source)
                _ = try Array("x".utf8).withUnsafeBytes { try reader.find($0) }
            }
        }
    }
}
