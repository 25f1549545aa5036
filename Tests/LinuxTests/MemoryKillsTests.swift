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
        var told = [kills.claim()]
        try write(5)
        for _ in 0..<3 { told.append(kills.claim()) }
        try write(6)
        told.append(kills.claim())
        try removeFile(path)
        told.append(kills.claim())
        #expect(told == [false, true, true, false, true, false])
    }

    @Test("A file without the line counts nothing")
    func nothing() { #expect(MemoryKills(counting: path) == nil) }
}
