import Bytes
import Formats
import Foundation
import Testing

@Suite("Lines of services among those of others") struct ServiceLineTests {
    private let now = TAI64N(unixSeconds: 1_795_738_500, nanoseconds: 123)

    private func text(_ line: [UInt8], _ form: ServiceLineForm, of name: ByteString) -> [UInt8] {
        var text: [UInt8] = []
        line.withUnsafeBytes {
            form.append($0, label: form.label(name), time: form.time(now), to: &text)
        }
        return text
    }

    private func object(_ line: [UInt8], of name: ByteString) throws -> [String: String] {
        let bytes = text(line, .json, of: name)
        #expect(bytes.last == 10 && bytes.count { $0 == 10 } == 1)
        let object = try JSONSerialization.jsonObject(with: Data(bytes))
        return try #require(object as? [String: String])
    }

    @Test("Names stand before lines, which stay as they are")
    func names() {
        let form = ServiceLineForm.named(inColour: false)
        #expect(
            text(Array("a\u{1b}[1mb\r".utf8), form, of: "web") == Array("web: a\u{1b}[1mb\r\n".utf8)
        )
        #expect(
            text([0, 255], form, of: "a\nb\u{1b}") == Array("a\\nb\\x1b: ".utf8) + [0, 255, 10])
        #expect(text([], form, of: "web/log") == Array("web/log: \n".utf8))
        #expect(form.line("x", of: "y", at: now) == Array("y: x\n".utf8))
    }

    @Test("On a terminal a name has a colour of its own")
    func colours() {
        let form = ServiceLineForm.named(inColour: true)
        var seen: Set<[UInt8]> = []
        for name in ["a", "b", "c", "d", "e", "f"] as [ByteString] {
            let line = text(Array("x".utf8), form, of: name)
            let start = Array(line.prefix(5))
            #expect(
                line == start
                    + Array("\(String(decoding: name.bytes, as: UTF8.self)):\u{1b}[0m x\n".utf8))
            #expect(start.starts(with: Array("\u{1b}[3".utf8)) && start[4] == UInt8(ascii: "m"))
            #expect((UInt8(ascii: "1")...UInt8(ascii: "6")).contains(start[3]))
            seen.insert(start)
        }
        #expect(seen.count == 6)
    }

    @Test("An object has the time, the service and the line")
    func objects() throws {
        #expect(
            text(Array("a \"b\"\\c\td\u{7f}é€😀".utf8), .json, of: "web")
                == Array(
                    (#"{"time":"2026-11-27T00:15:00.000000123Z","service":"web","line":"a \"b\"\\c\td\u007fé€😀"}"#
                        + "\n").utf8))
        let found = try object(Array("x".utf8), of: "we\"b\n")
        #expect(found["service"] == "we\"b\n" && found["line"] == "x" && found.count == 3)
    }

    @Test("Whatever the bytes are, it is valid and says them")
    func anyBytes() throws {
        for byte in UInt8.min...UInt8.max {
            let line = [UInt8(ascii: "<"), byte, UInt8(ascii: ">")]
            #expect(try object(line, of: "a")["line"] == String(decoding: line, as: UTF8.self))
        }
        // What Unicode calls well-formed, and what it does not: each bad byte counts for itself.
        for (bytes, expected) in [
            ([0xc2, 0x80], "\u{80}"), ([0xc1, 0xbf], "\u{fffd}\u{fffd}"),
            ([0xe0, 0x9f, 0xbf], "\u{fffd}\u{fffd}\u{fffd}"), ([0xe0, 0xa0, 0x80], "\u{800}"),
            ([0xed, 0x9f, 0xbf], "\u{d7ff}"), ([0xed, 0xa0, 0x80], "\u{fffd}\u{fffd}\u{fffd}"),
            ([0xf0, 0x8f, 0xbf, 0xbf], "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            ([0xf0, 0x90, 0x80, 0x80], "\u{10000}"), ([0xf4, 0x8f, 0xbf, 0xbf], "\u{10ffff}"),
            ([0xf4, 0x90, 0x80, 0x80], "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            ([0xe2, 0x82], "\u{fffd}\u{fffd}"),
            ([0xe2, 0x82, 0x41], "\u{fffd}\u{fffd}A"), ([0xe2, 0x80, 0xa8], "\u{2028}"),
        ] as [([UInt8], String)] {
            #expect(try object(bytes, of: "a")["line"] == expected, "\(bytes)")
        }
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            let length = Int.random(in: 0...12, using: &random)
            let line = (0..<length).map { _ in
                UInt8.random(in: 0...255, using: &random) | (Bool.random() ? 0x80 : 0)
            }
            _ = try object(line, of: ByteString(line))
        }
    }

    @Test("Lines are whole, however they come")
    func cutting() {
        let content = Array("one\n\ntwo\u{0}x\nthree\n\nfour".utf8)
        for size in 1...content.count {
            var cutter = LineCutter()
            var lines: [[UInt8]] = []
            var rest = content[...]
            while !rest.isEmpty {
                Array(rest.prefix(size)).withUnsafeBytes { block in
                    cutter.take(block) { lines.append(Array($0)) }
                }
                rest = rest.dropFirst(size)
            }
            #expect(cutter.isInLine)
            cutter.end { lines.append(Array($0)) }
            #expect(!cutter.isInLine)
            cutter.end { _ in Issue.record("a line twice") }
            #expect(
                lines.map { String(decoding: $0, as: UTF8.self) } == [
                    "one", "", "two\0x", "three", "", "four",
                ])
        }
    }

    @Test(
        "A line that is too long becomes several", arguments: [1000, 65535, 65536, 65537, 200_000])
    func longLines(size: Int) {
        for length in [65535, 65536, 65537, 131072, 131073, 300_000] {
            let content = [UInt8](repeating: 120, count: length) + [10, 121, 10]
            var cutter = LineCutter()
            var lengths: [Int] = []
            var rest = content[...]
            while !rest.isEmpty {
                Array(rest.prefix(size)).withUnsafeBytes { block in
                    cutter.take(block) { lengths.append($0.count) }
                }
                rest = rest.dropFirst(size)
            }
            #expect(lengths.last == 1 && lengths.reduce(0, +) == length + 1)
            #expect(lengths.dropLast(2).allSatisfy { $0 == LineCutter.longest })
            #expect(lengths.count == (length + LineCutter.longest - 1) / LineCutter.longest + 1)
        }
    }
}
