import Bytes
import Commands
import Foundation
import Linux

@testable import Logging

/// A directory of a test's own, removed with it.
final class Scratch {
    let path: String

    init() throws {
        // What Foundation has for this gives one directory to two who ask at the same time.
        let place = FileManager.default.temporaryDirectory.path
        var template = Array("\(place)/apus-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw CocoaError(.fileWriteUnknown) }
        path = String(cString: made)
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: path) } catch {
            fatalError("cannot remove \(path)")
        }
    }

    func path(_ name: String) -> String { "\(path)/\(name)" }

    func makeDirectory(_ name: String) throws {
        try FileManager.default.createDirectory(
            atPath: path(name), withIntermediateDirectories: true)
    }

    func put(_ name: String, _ content: String, mode: Int = 0o644) throws {
        try Data(content.utf8).write(to: URL(fileURLWithPath: path(name)))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path(name))
    }

    /// Runs a command of the shell there.
    func shell(_ command: String) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-ec", command]
        process.currentDirectoryURL = URL(fileURLWithPath: path)
        try process.run()
        process.waitUntilExit()
        if process.terminationStatus != 0 { throw CocoaError(.fileWriteUnknown) }
    }

    func bytes(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: path(name))))
    }

    func text(_ name: String) throws -> String {
        String(decoding: try bytes(name), as: UTF8.self)
    }

    func mode(_ name: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path(name))
        return (attributes[.posixPermissions] as? NSNumber)?.intValue ?? -1
    }

    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }

    /// The names in a directory, sorted.
    func names(_ directory: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path(directory)).sorted()
    }

    /// The archived files of a log directory, oldest first.
    func archived(_ directory: String) throws -> [String] {
        try names(directory).filter { $0.hasPrefix("@") }
    }

    /// Everything a log directory has, oldest first.
    func log(_ directory: String) throws -> String {
        try (archived(directory) + ["current"]).map { try text("\(directory)/\($0)") }.joined()
    }
}

extension Retry {
    /// Calls `pause` where the program would sleep, after saying nothing; it returns whether the program
    /// has been told to end.
    static func silent(endingAfter pause: @escaping () -> Bool) -> Retry {
        Retry(messages: Messages(program: "test")) { descriptor, _ in
            if descriptor < 0 { return pause() }
            var awaited = [Awaited(descriptor)]
            // A test may make it fail, which is no end.
            do { try poll(&awaited) } catch {}
            return false
        }
    }

    /// The same for a program that is never told to end.
    static func silent(_ pause: @escaping () -> Void = {}) -> Retry {
        silent(endingAfter: {
            pause()
            return false
        })
    }
}

extension LogScript {
    init(_ words: String...) { self.init(words.map { ByteString($0) }) }
}

extension LogEngine {
    /// Feeds `input` in blocks of `size`, the last one shorter.
    func feed(_ input: [UInt8], by size: Int = LogEngine.blockSize) {
        var rest = input[...]
        while !rest.isEmpty {
            let part = rest.prefix(min(size, LogEngine.blockSize))
            block.copyBytes(from: part)
            consume(part.count)
            flush()
            rest = rest.dropFirst(part.count)
        }
    }
}

/// Numbers that are the same in every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &+ 0x9e37_79b9_7f4a_7c15 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
