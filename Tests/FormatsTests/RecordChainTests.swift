import Formats
import Testing

@Suite("A chain of records")
struct RecordChainTests {
    private let contents: [[UInt8]] = [[1, 2, 3], [], Array(repeating: 7, count: 300), [0]]

    private func chain(_ contents: [[UInt8]]) -> (bytes: [UInt8], last: UInt32) {
        var bytes: [UInt8] = []
        var check = RecordChain.start
        for content in contents {
            check = RecordChain.check(content, after: check)
            bytes += RecordChain.header(content.count, check: check) + content
        }
        return (bytes, check)
    }

    @Test("What was written is read")
    func roundTrip() throws {
        let (bytes, last) = chain(contents)
        let found = try RecordChain.contents(of: bytes[...], endingWith: last)
        #expect(found.map { Array($0) } == contents)
        #expect(try RecordChain.contents(of: [], endingWith: RecordChain.start).isEmpty)
    }

    @Test("Every changed bit is noticed")
    func damage() {
        let (bytes, last) = chain(contents)
        for index in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[index] ^= 1 << bit
                #expect(throws: RecordChain.Damaged()) {
                    _ = try RecordChain.contents(of: damaged[...], endingWith: last)
                }
            }
        }
        for bit in 0..<32 {
            #expect(throws: RecordChain.Damaged()) {
                _ = try RecordChain.contents(of: bytes[...], endingWith: last ^ 1 << bit)
            }
        }
    }

    @Test("Every missing end is noticed, whole records among them")
    func truncation() {
        let (bytes, last) = chain(contents)
        for count in 0..<bytes.count {
            #expect(throws: RecordChain.Damaged()) {
                _ = try RecordChain.contents(of: bytes[..<count], endingWith: last)
            }
        }
    }

    @Test("Records out of their order are noticed")
    func order() {
        let (bytes, last) = chain([[1], [2]])
        let swapped = Array(bytes[9...] + bytes[..<9])
        #expect(throws: RecordChain.Damaged()) {
            _ = try RecordChain.contents(of: swapped[...], endingWith: last)
        }
    }
}
