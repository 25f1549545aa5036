import Bytes
import Foundation
import Linux
import Testing

@testable import Init

@Suite("The last word")
struct LastWordTests {
    /// The path of a file of a test's own, which `body` may make.
    private func withPath(_ body: (ByteString) throws -> Void) throws {
        let path = "/tmp/apus-last-\(CurrentProcess.id)-\(UInt64.random(in: 0 ... .max))"
        defer { unlink(path) }
        try body(ByteString(Array(path.utf8)))
    }

    private func make(_ path: ByteString, _ text: String = "") throws {
        let file = try openFile(path, .createNew)
        try writeAll(file.number, Array(text.utf8))
    }

    @Test("It is one line of at most 4096 bytes in a file that is there, and empty")
    func written() throws {
        try withPath { path in
            try make(path)
            try LastWord.write("exit\nstatus 3", to: path)
            #expect(try contents(of: path, limit: 5000) == Array("exit\\nstatus 3\n".utf8))
            // It is not told twice, and nobody's own word is replaced.
            try LastWord.write("another", to: path)
            #expect(try contents(of: path, limit: 5000) == Array("exit\\nstatus 3\n".utf8))
        }
        for length in [4094, 4095, 4096, 10_000] {
            try withPath { path in
                try make(path)
                try LastWord.write(
                    ByteString([UInt8](repeating: UInt8(ascii: "x"), count: length)), to: path)
                let written = try contents(of: path, limit: 5000)
                #expect(written.count == min(length + 1, 4096) && written.last == 10)
            }
        }
    }

    @Test("No file is made, no link followed, and nothing but a file written to")
    func refused() throws {
        try withPath { path in
            #expect(throws: SystemError("open", .noEntry, subject: path)) {
                try LastWord.write("x", to: path)
            }
            try makeFIFO(path, permissions: 0o600)
            #expect(throws: SystemError.self) { try LastWord.write("x", to: path) }
        }
        try withPath { path in
            try withPath { victim in
                try make(victim)
                let result = path.withCString { path in victim.withCString { symlink($0, path) } }
                #expect(result == 0)
                #expect(throws: SystemError("open", .symbolicLink, subject: path)) {
                    try LastWord.write("x", to: path)
                }
                #expect(try status(of: victim).size == 0)
            }
        }
    }
}
