import Bytes
import Commands
import Formats
import Foundation
import Linux
import Testing

@testable import Logging

@Suite("tai64n and tai64nlocal")
struct FilterTests {
    /// What a filter makes of blocks.
    private func output(_ filter: inout some LineFilter, _ blocks: [[UInt8]]) throws -> String {
        let scratch = try Scratch()
        let file = try openFile(ByteString(scratch.path("out")), .truncate)
        var buffer = try BufferedOutput(file.number)
        for block in blocks where !block.isEmpty {
            try block.withUnsafeBytes { try filter.take($0, &buffer) }
        }
        try filter.end(&buffer)
        try buffer.flush()
        return try scratch.text("out")
    }

    @Test("each line is stamped when its first byte comes")
    func stamps() throws {
        var time: Int64 = 0
        var filter = StampFilter {
            time += 1
            return TAI64N(unixSeconds: time, nanoseconds: 0)
        }
        let text = try output(&filter, ["a\nb\nc", "d\n\n", "e"].map { Array($0.utf8) })
        let stamp = { (second: Int) in "@400000000000000\(String(10 + second, radix: 16))00000000 "
        }
        #expect(
            text == "\(stamp(1))a\n\(stamp(1))b\n\(stamp(1))cd\n\(stamp(2))\n\(stamp(3))e")
    }

    @Test("a label is understood wherever its block ends")
    func everyCut() throws {
        let input = Array("@400000003b9aca0a0000002a x\nno @400000003b9aca0a00000000\n@!\n".utf8)
        for cut in 0...input.count {
            var filter = LocalTimeFilter()
            let text = try output(&filter, [Array(input[..<cut]), Array(input[cut...])])
            #expect(text.hasPrefix("2001-09-"))
            #expect(text.hasSuffix(":40.000000042 x\nno @400000003b9aca0a00000000\n@!\n"))
        }
    }

    @Test(
        "what is no time is passed on",
        arguments: [
            "@", "@ ", "@4", "@400000003B9ACA0A00000000 x", "@0000000000000000", "@\n@\n", "@@",
            "@" + String(repeating: "f", count: 5000) + " x\n",
        ])
    func oddLabels(text: String) throws {
        var filter = LocalTimeFilter()
        #expect(try output(&filter, [Array(text.utf8)]) == text)
    }

    @Test("only the last 24 digits of a long label count, the last eight are nanoseconds")
    func longLabels() throws {
        var filter = LocalTimeFilter()
        let text = try output(&filter, [Array("@abc400000003b9aca0affffffff".utf8)])
        #expect(text.hasPrefix("2001-09-") && text.hasSuffix(":40.4294967295"))
    }

    @Test("output larger than the buffer arrives whole")
    func large() throws {
        var filter = LocalTimeFilter()
        let text = String(repeating: "0123456789", count: 30_000)
        #expect(try output(&filter, [Array(text.utf8)]) == text)
    }

    @Test("a failed write is thrown")
    func failedWrite() throws {
        let seam = Seam()
        seam.fail("write", with: .noSpace)
        var filter = StampFilter()
        #expect(throws: SystemError("write", .noSpace)) {
            try seam.during { _ = try output(&filter, [Array("x\n".utf8)]) }
        }
    }
}
