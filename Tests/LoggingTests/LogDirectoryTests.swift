import Bytes
import Commands
import Foundation
import Linux
import Testing

@testable import Logging

@Suite("Log directories")
struct LogDirectoryTests {
    private func settings(_ path: String, count: UInt = 100, processor: ByteString? = nil)
        -> LogDirectorySettings
    {
        LogDirectorySettings(
            path: ByteString(path), size: 4096, count: count, processor: processor)
    }

    private func open(_ settings: LogDirectorySettings, _ retry: Retry = .silent()) throws
        -> LogDirectory
    {
        try LogDirectory(
            settings, Processor(environment: Environment(["PATH=/usr/bin:/bin"])), retry)
    }

    private func write(_ text: String, to directory: inout LogDirectory) {
        Array(text.utf8).withUnsafeBytes { directory.write($0) }
    }

    /// A file that a start may find.
    private enum Found: CaseIterable {
        case absent, unsafe, safe
        var mode: Int { self == .safe ? 0o744 : 0o644 }
    }

    @Test("a start makes the best of every state a crash can leave")
    func recovery() throws {
        for current in Found.allCases {
            for previous in Found.allCases {
                for processed in Found.allCases {
                    try recover(current: current, previous: previous, processed: processed)
                }
            }
        }
    }

    private func recover(current: Found, previous: Found, processed: Found) throws {
        let scratch = try Scratch()
        try scratch.makeDirectory("d")
        for (name, found) in [
            ("current", current), ("previous", previous), ("processed", processed),
        ]
        where found != .absent {
            try scratch.put("d/\(name)", "\(name)\n", mode: found.mode)
        }
        try scratch.put("d/state", "state")
        try scratch.put("d/newstate", "newstate")
        let directory = try open(settings(scratch.path("d")))
        let names = try scratch.names("d")
        let archived = try scratch.archived("d")
        let contents = try archived.map { name in
            String(try scratch.text("d/\(name)").dropLast()) + "." + String(name.suffix(1))
        }
        #expect(try scratch.mode("d/current") == 0o644)
        if current == .safe {
            #expect(directory.initialBytes == 8)
            #expect(try scratch.text("d/state") == "state")
            #expect(archived.isEmpty)
            return
        }
        #expect(directory.initialBytes == 0)
        #expect(try scratch.text("d/state") == "")
        #expect(!names.contains("newstate") && !names.contains("previous"))
        #expect(!names.contains("processed"))
        var expected: [String] = []
        if processed == .safe {
            expected.append("processed.s")
        } else if previous != .absent {
            expected.append("previous.u")
        }
        if current == .unsafe { expected.append("current.u") }
        #expect(contents == expected)
    }

    @Test("a file with two names has been archived already")
    func twoNames() throws {
        let scratch = try Scratch()
        try scratch.makeDirectory("d")
        let name = "@400000003b9aca0a00000001.u"
        try scratch.put("d/\(name)", "old\n")
        try FileManager.default.linkItem(
            atPath: scratch.path("d/\(name)"), toPath: scratch.path("d/current"))
        _ = try open(settings(scratch.path("d")))
        #expect(try scratch.archived("d") == [name])
        #expect(try scratch.text("d/current") == "")
    }

    @Test("the oldest go when there are too many, by name and not by age")
    func oldest() throws {
        let scratch = try Scratch()
        try scratch.makeDirectory("d")
        let names = (1...6).map { "@400000003b9aca0a0000000\($0)" }
        for name in names.reversed() { try scratch.put("d/\(name)", name) }
        try scratch.put("d/@short", "")
        try scratch.put("d/other", "")
        var directory = try open(settings(scratch.path("d"), count: 4))
        // Opening an empty directory finishes nothing, so nothing is counted yet.
        #expect(try scratch.archived("d").count == 7)
        write("x\n", to: &directory)
        directory.rotate()
        let kept = try scratch.archived("d")
        #expect(kept.count == 4)
        #expect(Array(kept.prefix(2)) == Array(names.suffix(2)))
        #expect(kept.last == "@short")
        #expect(scratch.exists("d/other"))
    }

    @Test("a processor's output is archived, and its state handed on")
    func processor() throws {
        let scratch = try Scratch()
        let command: ByteString = "tr a-z A-Z; cat <&4 >&5; echo more >&5"
        var directory = try open(settings(scratch.path("d"), processor: command))
        for text in ["one\n", "two\n"] {
            write(text, to: &directory)
            directory.rotate()
        }
        directory.end()
        #expect(try scratch.log("d") == "ONE\nTWO\n")
        #expect(try scratch.text("d/state") == "more\nmore\n")
        #expect(try scratch.archived("d").allSatisfy { $0.hasSuffix(".s") })
        #expect(!scratch.exists("d/previous") && !scratch.exists("d/newstate"))
    }

    @Test("a processor that fails or crashes is run again, after one pause")
    func failingProcessor() throws {
        let scratch = try Scratch()
        let command: ByteString =
            "cat; echo x >> tries; case $(wc -l < tries) in 1) exit 1;; 2) kill -9 $$;; esac"
        var pauses = 0
        var directory = try open(
            settings(scratch.path("d"), processor: command), .silent { pauses += 1 })
        write("line\n", to: &directory)
        directory.rotate()
        #expect(pauses == 2)
        #expect(try scratch.log("d") == "line\n")
        #expect(try scratch.text("d/tries") == "x\nx\nx\n")
    }

    /// Two files, the second one after the only rotation.
    private func logTwoFiles(_ path: String, processor: ByteString?, _ pause: @escaping () -> Void)
        throws
    {
        var directory = try open(settings(path, processor: processor), .silent(pause))
        write("first\n", to: &directory)
        directory.rotate()
        write("second\n", to: &directory)
        directory.end()
    }

    /// The name and occurrence of each system call of a run.
    private func calls(processor: ByteString?) throws -> [(name: String, skip: Int)] {
        let scratch = try Scratch()
        let seam = Seam()
        try seam.during { try logTwoFiles(scratch.path("d"), processor: processor) {} }
        var seen: [String: Int] = [:]
        return seam.trace.map { call in
            let name = String(call.split(separator: " ")[0])
            defer { seen[name, default: 0] += 1 }
            return (name, seen[name, default: 0])
        }
    }

    /// Failures that are no trouble: the directory exists already, leftovers do not, the disk is not
    /// asked to hurry, closing a file says nothing that fsync(2) has not said.
    private static let harmless: Set<String> = ["mkdir", "unlink", "sync_file_range", "close"]

    @Test(
        "whatever fails, once, is said and tried again, and nothing is lost",
        arguments: [nil, "cat; cat <&4 >&5"] as [ByteString?])
    func everyFailure(processor: ByteString?) throws {
        for (name, skip) in try calls(processor: processor) {
            let scratch = try Scratch()
            var pauses = 0
            let seam = Seam()
            seam.fail(name, with: .noSpace, skip: skip)
            do {
                try seam.during {
                    try logTwoFiles(scratch.path("d"), processor: processor) { pauses += 1 }
                }
                let isHarmless = LogDirectoryTests.harmless.contains(name)
                #expect(pauses == 1 || isHarmless, "\(name) \(skip): \(pauses) pauses")
            } catch let failure as Failure {
                // At the start it is fatal, and the next start works.
                #expect(pauses == 0 && failure.exitCode == 111)
                try logTwoFiles(scratch.path("d"), processor: processor) {}
            }
            #expect(try scratch.log("d") == "first\nsecond\n", "\(name) \(skip)")
            #expect(try scratch.mode("d/current") == 0o744)
            // A start that failed late has left an empty file, which is not known to be whole.
            let uncertain = try scratch.archived("d").filter { $0.hasSuffix(".u") }
            #expect(try uncertain.allSatisfy { try scratch.bytes("d/\($0)").isEmpty })
        }
    }

    @Test(
        "killed before whatever step, the next start finds all that was written",
        arguments: [nil, "cat; cat <&4 >&5"] as [ByteString?])
    func everyKill(processor: ByteString?) throws {
        var written = 0
        for (name, skip) in try calls(processor: processor) {
            defer { written += name == "write" ? 1 : 0 }
            let scratch = try Scratch()
            let copy = try Scratch()
            var copied = false
            let seam = Seam()
            seam.fail(name, with: .noSpace, skip: skip)
            do {
                try seam.during {
                    try logTwoFiles(scratch.path("d"), processor: processor) {
                        // The call made no change: this is what a kill before it would leave.
                        copied = self.copy(scratch.path("d"), to: copy.path("d"))
                    }
                }
            } catch is Failure { continue }
            guard copied else { continue }
            let log = try Seam().during { try recovered(copy, processor) }
            let expected = ["", "first\n", "first\nsecond\n"]
            #expect(log == expected[written], "\(name) \(skip)")
        }
    }

    private func recovered(_ scratch: Scratch, _ processor: ByteString?) throws -> String {
        let directory = try open(settings(scratch.path("d"), processor: processor))
        directory.end()
        return try scratch.log("d")
    }

    /// With modes, times and second names, which is what recovery goes by.
    private func copy(_ source: String, to target: String) -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/cp")
        process.arguments = ["-a", source, target]
        do { try process.run() } catch { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }

    @Test("a directory in use is refused, and free again with its logger")
    func locked() throws {
        let scratch = try Scratch()
        do {
            let holder = try open(settings(scratch.path("d")))
            #expect(throws: Failure.self) { _ = try open(settings(scratch.path("d"))) }
            holder.end()
        }
        // A test that runs beside this one may have forked meanwhile: its child holds the lock too,
        // until it becomes another program.
        let deadline = Instant.now.advanced(milliseconds: 5000)
        while true {
            do {
                _ = try open(settings(scratch.path("d")))
                return
            } catch let error as Failure {
                if error.errno != .again || Instant.now > deadline { throw error }
                usleep(10_000)
            }
        }
    }
}
