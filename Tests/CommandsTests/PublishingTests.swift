import Bytes
import Commands
import Foundation
import Linux
import Testing

@Suite("Files that take another's place")
struct PublishingTests {
    private func inDirectory(_ body: (ByteString) throws -> Void) throws {
        var template = Array("/tmp/apus-XXXXXX".utf8CString)
        let made = try #require(mkdtemp(&template))
        defer {
            do { try FileManager.default.removeItem(atPath: String(cString: made)) } catch {
                Issue.record("the directory stays")
            }
        }
        try body(ByteString(cString: made))
    }

    @Test("They are on disk, whole, before they have the name")
    func order() throws {
        try inDirectory { path in
            let (temporary, target): (ByteString, ByteString) = ("\(path)/new", "\(path)/file")
            let seam = Seam()
            try seam.during {
                try publish(try createFile(temporary), Array("text".utf8), temporary, as: target)
            }
            let steps = seam.trace.filter { call in
                ["write", "fsync", "rename"].contains { call.hasPrefix($0) }
            }
            #expect(
                steps == [
                    "write", "fsync", "rename \(String(decoding: temporary.bytes, as: UTF8.self))",
                ])
            #expect(try contents(of: target, limit: 100) == Array("text".utf8))
            #expect(try !exists(temporary))
        }
    }

    @Test(
        "A failure on the way leaves the old one", arguments: ["write", "fsync", "close", "rename"])
    func failure(call: String) throws {
        try inDirectory { path in
            let (temporary, target): (ByteString, ByteString) = ("\(path)/new", "\(path)/file")
            try publish(try createFile(temporary), Array("old".utf8), temporary, as: target)
            let seam = Seam()
            seam.fail(call, with: .noSpace)
            seam.during {
                do throws(Failure) {
                    try publish(try createFile(temporary), Array("new".utf8), temporary, as: target)
                    Issue.record("it succeeded")
                } catch { #expect(error.errno == .noSpace) }
            }
            #expect(try contents(of: target, limit: 100) == Array("old".utf8))
        }
    }
}
