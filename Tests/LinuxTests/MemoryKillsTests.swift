import Bytes
import Testing

@testable import Linux

@Suite("Processes killed for lack of memory") struct MemoryKillsTests {
    private let path: ByteString =
        "/tmp/apus-kills-\(CurrentProcess.id)-\(UInt64.random(in: 0 ... .max))"

    private func write(_ count: Int) throws {
        // O_WRONLY, O_CREAT, O_TRUNC.
        let file = try openFile(path, OpenMode(flags: 0o1101, permissions: 0o600))
        try writeAll(file.number, Array("oom 7\noom_kill \(count)\n".utf8))
    }

    @Test("Each is told of once, and those of before not at all")
    func claims() throws {
        try write(3)
        var kills = try #require(MemoryKills(counting: path))
        #expect(!kills.claim())
        try write(5)
        #expect(kills.claim())
        #expect(kills.claim())
        #expect(!kills.claim())
        try write(6)
        #expect(kills.claim())
        try removeFile(path)
        #expect(!kills.claim())
    }

    @Test("A file without the line counts nothing")
    func nothing() { #expect(MemoryKills(counting: path) == nil) }
}
