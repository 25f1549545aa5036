import Bytes
import CLinux
import Foundation
import Testing

@testable import Linux

@Suite("Why an exec failed")
struct ExecFailureTests {
    private let directory = FileManager.default.temporaryDirectory
        .appendingPathComponent("apus-exec-\(UUID().uuidString)")

    /// Explains why a file of these bytes could not be executed.
    private func explanation(_ bytes: [UInt8], _ errno: Errno = .noEntry) throws -> ByteString? {
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let path = directory.appendingPathComponent("file")
        try Data(bytes).write(to: path)
        return explain(execFailure: errno, path: ByteString(Array(path.path.utf8)))
    }

    private func explanation(_ text: String, _ errno: Errno = .noEntry) throws -> ByteString? {
        try explanation(Array(text.utf8), errno)
    }

    /// An ELF file with one program header: `type`, at `place`, of `length` bytes.
    private func program(_ type: UInt8, place: UInt64, length: UInt64, wide: Bool = true) -> [UInt8]
    {
        func little(_ value: UInt64, _ size: Int) -> [UInt8] {
            (0..<size).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
        }
        var file = [UInt8](repeating: 0, count: 64)
        file.replaceSubrange(0..<6, with: [0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1])
        file.replaceSubrange(wide ? 32..<40 : 28..<32, with: little(64, wide ? 8 : 4))
        let sizes = wide ? 54 : 42
        file.replaceSubrange(sizes..<(sizes + 4), with: little(wide ? 56 : 32, 2) + little(1, 2))
        var header = [UInt8](repeating: 0, count: wide ? 56 : 32)
        header[0] = type
        header.replaceSubrange(wide ? 8..<16 : 4..<8, with: little(place, wide ? 8 : 4))
        header.replaceSubrange(wide ? 32..<40 : 16..<20, with: little(length, wide ? 8 : 4))
        return file + header
    }

    @Test("A script's interpreter that is missing is named, and line ends of another system")
    func scripts() throws {
        #expect(try explanation("#!/nonexistent/sh -e\n") == "its interpreter /nonexistent/sh")
        #expect(try explanation("#! \t/nonexistent/sh\tx\n") == "its interpreter /nonexistent/sh")
        #expect(try explanation("#!/nonexistent/sh") == "its interpreter /nonexistent/sh")
        #expect(try explanation("#!/bin/sh\r\nexit 0\r\n") == "its first line ends in CR LF")
        #expect(
            try explanation("#!/nonexistent/\u{1b}[2J\n") == "its interpreter /nonexistent/?[2J")
        #expect(try explanation("#!/dev/null\n", .accessDenied) == "its interpreter /dev/null")
    }

    @Test("What tells no more than the error number is not explained")
    func nothing() throws {
        for text in ["#!/bin/sh\n", "", "#!", "#!\n", "#!  \n", "exit 0\n", "\u{7f}ELF", "#"] {
            #expect(try explanation(text) == nil)
            #expect(try explanation(text, .accessDenied) == nil)
            #expect(try explanation(text, .notPermitted) == nil)
        }
        #expect(try explanation("#!/nonexistent/sh\n", .noMemory) == nil)
        #expect(try explanation("#!/nonexistent/sh\n", .accessDenied) == nil)
    }

    @Test("A program's loader that is missing is named", arguments: [true, false])
    func loaders(wide: Bool) throws {
        let name = Array("/nonexistent/ld.so\0".utf8)
        let place: UInt64 = wide ? 120 : 96
        let file = program(3, place: place, length: UInt64(name.count), wide: wide) + name
        #expect(try explanation(file) == "its loader /nonexistent/ld.so")
        // Whatever is cut off it, or wrong in it, is no harm.
        for length in 0..<file.count { _ = try explanation(Array(file[..<length])) }
        for index in file.indices {
            for byte: UInt8 in [0, 1, 0x7f, 0x80, 0xff] {
                var damaged = file
                damaged[index] = byte
                _ = try explanation(damaged)
            }
        }
        #expect(try explanation(program(2, place: place, length: 19, wide: wide) + name) == nil)
        #expect(
            try explanation(program(3, place: .max, length: .max, wide: wide) + name) == nil)
    }

    @Test("Only regular files are opened")
    func otherFiles() throws {
        #expect(explain(execFailure: .noEntry, path: "/nonexistent") == nil)
        #expect(explain(execFailure: .noEntry, path: "/dev/null") == nil)
        let seam = Seam()
        #expect(seam.during { explain(execFailure: .accessDenied, path: "/dev/tty") } == nil)
        #expect(seam.trace == ["stat /dev/tty"])
    }

    @Test("The interpreter is looked for where the program would have started")
    func directories() throws {
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        try Data("#!./missing\n".utf8).write(to: directory.appendingPathComponent("run"))
        let place = try openFile(ByteString(Array(directory.path.utf8)), .place)
        let place1 = Directory(place)
        #expect(
            explain(execFailure: .noEntry, path: "run", in: place1) == "its interpreter ./missing")
        #expect(explain(execFailure: .noEntry, path: "run") == nil)
    }
}
