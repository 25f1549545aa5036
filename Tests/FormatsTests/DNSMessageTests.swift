import Formats
import Testing

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

@Suite("DNS messages")
struct DNSMessageTests {
    private func query(_ name: String, _ type: DNSRecordType = .text) throws -> DNSQuery {
        try #require(DNSQuery(bytes(name), type, id: 0x1234))
    }

    /// A reply to `query` with ready records.
    private func reply(
        _ query: DNSQuery, flags: [UInt8] = [0x81, 0x80], count: UInt8, _ records: [UInt8]
    ) -> [UInt8] {
        var reply = query.bytes + records
        reply.replaceSubrange(2..<4, with: flags)
        reply[7] = count
        return reply
    }

    private func record(_ name: [UInt8] = [0xc0, 12], type: UInt8, _ data: [UInt8]) -> [UInt8] {
        name + [0, type, 0, 1, 0, 0, 0, 60, 0, UInt8(data.count)] + data
    }

    @Test("A query asks one question, for recursion")
    func encoding() throws {
        #expect(
            try query("a.bc").bytes == [
                0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97, 2, 98, 99, 0, 0, 16, 0, 1,
            ])
        #expect(try query("a.bc", .address).bytes.suffix(4) == [0, 1, 0, 1])
        #expect(try query("..a...bc.").bytes == query("a.bc").bytes)
        #expect(try query("").bytes.count == 17)
    }

    @Test("A name that is too long cannot be asked for")
    func limits() {
        let label = String(repeating: "x", count: 63)
        #expect(DNSQuery(bytes(label), .text, id: 0) != nil)
        #expect(DNSQuery(bytes(label + "x"), .text, id: 0) == nil)
        let longest = [label, label, label, String(repeating: "y", count: 61)].joined(
            separator: ".")
        #expect(DNSQuery(bytes(longest), .text, id: 0) != nil)
        #expect(DNSQuery(bytes(longest + "y"), .text, id: 0) == nil)
    }

    @Test("The records of the type asked for are found among others")
    func records() throws {
        let query = try query("a.bc")
        let records =
            record(type: 5, [1, 122, 0]) + record([1, 122, 0], type: 16, [2, 104, 105])
            + record([1, 122, 0xc0, 12], type: 1, [1, 2, 3, 4]) + record(type: 16, [])
        let answer = try #require(DNSAnswer(reply(query, count: 4, records), to: query))
        #expect(!answer.isFailure && !answer.isTruncated)
        #expect(answer.data(.text)?.map(Array.init) == [[2, 104, 105], []])
        #expect(answer.data(.address)?.map(Array.init) == [[1, 2, 3, 4]])
        let otherClass = [0xc0, 12, 0, 16, 0, 3, 0, 0, 0, 60, 0, 1, 0] as [UInt8]
        let foreign = try #require(DNSAnswer(reply(query, count: 1, otherClass), to: query))
        #expect(foreign.data(.text) == [])
    }

    @Test("Only what answers the question is an answer")
    func matching() throws {
        let query = try query("a.bc")
        let good = reply(query, count: 0, [])
        #expect(DNSAnswer(good, to: query) != nil)
        for index in [0, 1, 5, 12, 13, 15, 17, 19, 21] {
            var bad = good
            bad[index] ^= 1
            #expect(DNSAnswer(bad, to: query) == nil)
        }
        // A query is no answer, a name in capitals the same name.
        #expect(DNSAnswer(query.bytes, to: query) == nil)
        var capitals = good
        capitals[13] ^= 0x20
        #expect(DNSAnswer(capitals, to: query) != nil)
        for count in 0..<good.count { #expect(DNSAnswer(Array(good[..<count]), to: query) == nil) }
    }

    @Test("Codes tell failure from a name that is not there")
    func codes() throws {
        let query = try query("a.bc")
        for code in UInt8(0)..<16 {
            let message = reply(query, flags: [0x81, 0x80 | code], count: 0, [])
            let answer = try #require(DNSAnswer(message, to: query))
            #expect(answer.isFailure == (code != 0 && code != 3))
        }
        let message = reply(query, flags: [0x83, 0x80], count: 0, [])
        #expect(try #require(DNSAnswer(message, to: query)).isTruncated)
    }

    @Test("An answer that is cut off anywhere, or garbled, gives nothing and crashes nothing")
    func garbled() throws {
        let query = try query("a.bc")
        let whole = reply(
            query, count: 2,
            record([1, 122, 1, 121, 0], type: 16, [3, 97, 98, 99]) + record(type: 16, [1, 100]))
        for count in query.bytes.count..<whole.count {
            let answer = try #require(DNSAnswer(Array(whole[..<count]), to: query))
            #expect(answer.data(.text) == nil)
        }
        // A name part longer than any, and a name without an end.
        for name in [[64], [128], [63], [1, 97], [0xc0]] as [[UInt8]] {
            let answer = try #require(DNSAnswer(reply(query, count: 1, name), to: query))
            #expect(answer.data(.text) == nil)
        }
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var message = whole
            for _ in 0..<4 {
                let index = Int.random(in: query.bytes.count..<message.count, using: &generator)
                message[index] = .random(in: 0...255, using: &generator)
            }
            _ = DNSAnswer(message, to: query)?.data(.text)
        }
    }

    @Test("Strings of a text record are joined; one that is too long ends with the record")
    func text() {
        #expect(joinedText([]) == [])
        #expect(joinedText([0]) == [])
        #expect(joinedText([2, 104, 105, 0, 1, 33]) == bytes("hi!"))
        #expect(joinedText([9, 104, 105]) == bytes("hi"))
        #expect(joinedText([9, 0, 1, 2][1...]) == [2])
    }
}
