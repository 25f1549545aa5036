import Networking
import Testing

@Suite("Recorded lines")
struct RecordedLinesTests {
    private func writes(_ data: [UInt8], _ direction: RecordedLines.Direction = .input) -> [[UInt8]]
    {
        var lines = RecordedLines(pid: 77, direction)
        var writes: [[UInt8]] = []
        data.withUnsafeBytes { lines.record($0) { writes.append($0) } }
        return writes
    }

    private func text(_ data: String, _ direction: RecordedLines.Direction = .input) -> String {
        String(decoding: writes(Array(data.utf8), direction).flatMap { $0 }, as: UTF8.self)
    }

    @Test("A line ends in a space, a piece of one in a plus")
    func lines() {
        #expect(text("hello\n") == "77 < hello \n")
        #expect(text("hello", .output) == "77 > hello+\n")
        #expect(text("a\n\nb") == "77 < a \n77 <  \n77 < b+\n")
        #expect(text("\r\n") == "77 < \r \n")
        #expect(text("") == "")
        let lines = RecordedLines(pid: 1, .output)
        #expect(lines.endOfFile == Array("1 > [EOF]\n".utf8))
    }

    @Test("Data is cut after 256 bytes, wherever its lines end")
    func pieces() {
        let long = String(repeating: "x", count: 256)
        #expect(text(long + "y\n") == "77 < \(long)+\n77 < y \n")
        #expect(text(long.dropLast() + "\nz") == "77 < \(long.dropLast()) \n77 < z+\n")
        #expect(text(long + "\n") == "77 < \(long)+\n77 <  \n")
    }

    @Test("No write is longer than a pipe takes in one piece, and none ends inside a line")
    func writesAreAtomic() {
        for data in [
            [UInt8](repeating: 10, count: 16384), [UInt8](repeating: 65, count: 16384),
            (0..<16384).map { $0 % 100 == 99 ? 10 : UInt8($0 % 251) },
        ] {
            let writes = writes(data)
            #expect(writes.allSatisfy { $0.count <= 4096 && $0.last == 10 })
            #expect(writes.count > 3)
        }
    }
}
