import Bytes
import Commands
import Formats
import Foundation
import Linux
import Testing

@testable import Logging

/// multilog as the original does it: one byte after the other, reads of 1024 bytes, a buffer of 512
/// for the directory. Stamps are 26 equal bytes. What it leaves is the contents of the files in order.
private struct Original {
    let size: Int
    let stamp: [UInt8]
    var files: [[UInt8]] = [[]]
    var buffer: [UInt8] = []

    mutating func run(_ input: [UInt8]) {
        var next = 0
        func byte(_ machine: inout Original) -> UInt8? {
            if next % 1024 == 0 || next == input.count { machine.flush() }
            defer { next += 1 }
            return next < input.count ? input[next] : nil
        }
        while true {
            var line: [UInt8] = []
            var ended = false
            while line.count < 1000 {
                guard let one = byte(&self) else {
                    if line.isEmpty { return flush() }
                    ended = true
                    break
                }
                if line.isEmpty { line = stamp }
                if one == 10 { break }
                line.append(one)
            }
            put(line)
            if line.count == 1000 {
                while true {
                    guard let one = byte(&self) else {
                        ended = true
                        break
                    }
                    if one == 10 { break }
                    put([one])
                }
            }
            put([10])
            if ended { return flush() }
        }
    }

    private mutating func put(_ bytes: [UInt8]) {
        if bytes.count > 512 - buffer.count {
            flush()
            if bytes.count > 512 { return write(bytes) }
        }
        buffer += bytes
    }

    private mutating func flush() {
        write(buffer)
        buffer = []
    }

    private mutating func write(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            if files[files.count - 1].count >= size { files.append([]) }
            let used = files[files.count - 1].count
            var part = rest.prefix(size - used)
            if used + part.count >= size - 2000, let last = part.lastIndex(of: 10) {
                part = part[...last]
            }
            files[files.count - 1] += part
            rest = rest.dropFirst(part.count)
            if files[files.count - 1].count >= size - 2000 && part.last == 10 { files.append([]) }
        }
    }
}

@Suite("Lines through the script")
struct LogEngineTests {
    private static let time = TAI64N(unixSeconds: 1_000_000_000, nanoseconds: 1)
    private static let stamp = time.text + [UInt8(ascii: " ")]

    private func engine(_ script: LogScript) throws -> LogEngine {
        try LogEngine(
            script, Processor(environment: Environment()), .silent(), now: { LogEngineTests.time })
    }

    private func lines(_ generator: inout SeededGenerator, _ total: Int, upTo longest: Int)
        -> [UInt8]
    {
        var bytes: [UInt8] = []
        while bytes.count < total {
            let length = Int.random(in: 0...longest, using: &generator)
            let line = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            bytes += line.map { $0 == 10 ? 0 : $0 }
            bytes.append(10)
        }
        return bytes
    }

    @Test(
        "files end just where the original ends them",
        arguments: [(0, 0), (1, 3), (2, 80), (3, 500), (4, 600), (5, 1100), (6, 3000), (7, 9000)])
    func cutsAsTheOriginal(seed: Int, longest: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        for stamps in [false, true] {
            for size in [4096, 5001, 8192] {
                let scratch = try Scratch()
                var input = lines(&generator, 60_000, upTo: longest)
                if seed % 2 == 1 { input.removeLast() }
                let words = [stamps ? "t" : "e?", "s\(size)", "n1000", scratch.path("d")]
                let script = LogScript(words.map { ByteString($0) }.filter { $0 != "e?" })
                let engine = try engine(script)
                engine.feed(input)
                engine.finish()
                var original = Original(size: size, stamp: stamps ? LogEngineTests.stamp : [])
                original.run(input)
                let files = try (scratch.archived("d") + ["current"]).map {
                    try scratch.bytes("d/\($0)")
                }
                #expect(files == original.files)
            }
        }
    }

    @Test("how input is divided into blocks makes no difference to what is logged")
    func blocks() throws {
        var generator = SeededGenerator(seed: 99)
        let input =
            lines(&generator, 4000, upTo: 40) + lines(&generator, 9000, upTo: 3000)
            + Array("the end".utf8)
        var logs: Set<[UInt8]> = []
        for size in [1, 2, 3, 7, 26, 999, 1000, 1001, 1023, 1024, 1025, 65536] {
            let scratch = try Scratch()
            let engine = try engine(LogScript("t", "s16777215", scratch.path("d")))
            engine.feed(input, by: size)
            engine.finish()
            logs.insert(try scratch.bytes("d/current"))
        }
        #expect(logs.count == 1)
        var expected: [UInt8] = []
        for line in input.split(separator: 10, omittingEmptySubsequences: false) {
            expected += LogEngineTests.stamp + Array(line) + [10]
        }
        #expect(logs.first == expected)
    }

    @Test("what a block brought is in the file before the next block")
    func nothingIsHeld() throws {
        let scratch = try Scratch()
        let engine = try engine(LogScript(scratch.path("d")))
        engine.feed(Array("one\ntwo\nthr".utf8))
        #expect(try scratch.text("d/current") == "one\ntwo\n")
        engine.feed(Array("ee\n".utf8))
        #expect(try scratch.text("d/current") == "one\ntwo\nthree\n")
        let long = [UInt8](repeating: UInt8(ascii: "x"), count: 1500)
        engine.feed(long)
        #expect(try scratch.bytes("d/current").count == 14 + 1500)
        engine.finish()
        #expect(try scratch.bytes("d/current").count == 14 + 1501)
    }

    @Test("a line is selected by its first 1000 bytes, the stamp among them")
    func window() throws {
        for (script, length, kept) in [
            ("-*z", 999, true), ("-*z", 1000, true), ("-*z", 1001, false),
        ] {
            let scratch = try Scratch()
            let engine = try engine(LogScript(script, scratch.path("d")))
            let line = [UInt8](repeating: UInt8(ascii: "x"), count: length - 1) + Array("z\n".utf8)
            engine.feed(line)
            engine.finish()
            // The star goes to the first z; a line longer than the window has none in it.
            #expect(try scratch.bytes("d/current").isEmpty == kept)
        }
        let scratch = try Scratch()
        let engine = try engine(LogScript("t", "-@* keep*", "-*", "+* keep*", scratch.path("d")))
        engine.feed(Array("keep\ndrop\n".utf8))
        engine.finish()
        #expect(try scratch.text("d/current").hasSuffix(" keep\n"))
    }

    @Test("a status file has 1001 bytes: the head of the last selected line, and newlines")
    func statusFile() throws {
        let scratch = try Scratch()
        let engine = try engine(LogScript("-drop", "=" + scratch.path("f")))
        #expect(try scratch.bytes("f").isEmpty)
        engine.feed([UInt8](repeating: UInt8(ascii: "y"), count: 3000) + [10])
        let full = [UInt8](repeating: UInt8(ascii: "y"), count: 1000) + [10]
        #expect(try scratch.bytes("f") == full)
        engine.feed(Array("short\ndrop\n".utf8))
        let short = Array("short".utf8) + [UInt8](repeating: 10, count: 996)
        #expect(try scratch.bytes("f") == short)
    }

    @Test("two actions on one file: the later one has the last word")
    func statusFileTwice() throws {
        let scratch = try Scratch()
        let file = "=" + scratch.path("f")
        let engine = try engine(LogScript(file, "-b*", file))
        engine.feed(Array("a1\nb1\n".utf8))
        #expect(try scratch.text("f").hasPrefix("b1\n"))
        engine.feed(Array("b2\na2\n".utf8))
        #expect(try scratch.text("f").hasPrefix("a2\n"))
    }

    @Test("each directory gets what was selected when its turn came")
    func directories() throws {
        let scratch = try Scratch()
        let engine = try engine(
            LogScript(
                scratch.path("all"), "-a*", scratch.path("some"), "-*", scratch.path("none"),
                "+ab*",
                scratch.path("back")))
        engine.feed(Array("aa\nab\nbb\n".utf8))
        engine.finish()
        #expect(try scratch.text("all/current") == "aa\nab\nbb\n")
        #expect(try scratch.text("some/current") == "bb\n")
        #expect(try scratch.text("none/current") == "")
        #expect(try scratch.text("back/current") == "ab\n")
    }

    @Test("a rotation on demand leaves empty files alone")
    func rotation() throws {
        let scratch = try Scratch()
        let engine = try engine(LogScript(scratch.path("a"), "-*", scratch.path("b")))
        engine.rotate()
        engine.feed(Array("x\n".utf8))
        engine.rotate()
        engine.rotate()
        engine.finish()
        #expect(try scratch.archived("a").count == 1)
        #expect(try scratch.archived("b").isEmpty)
    }
}
