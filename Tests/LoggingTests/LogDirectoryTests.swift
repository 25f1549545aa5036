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
    /// asked to hurry, closing a file says nothing that fsync(2) has not said, a child is waited for in
    /// another way.
    private static let harmless: Set<String> = [
        "mkdir", "unlink", "sync_file_range", "close", "pidfd_open", "poll",
    ]

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
        var directory = try open(settings(scratch.path("d"), processor: processor))
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

    /// The calls of `body` that matter to what a crash leaves, of the directory open as `seam` saw it.
    private func durable(_ seam: Seam) -> [String] {
        let steps: Set<String> = ["write", "fsync", "fchmod", "rename", "unlink", "spawn"]
        return seam.trace.filter { call in
            let name = String(call.prefix { $0 != " " })
            // The names of archives have the time in them.
            return steps.contains(name) || call == "open current"
        }.map { $0.hasPrefix("rename ") ? String($0.prefix(while: { $0 != "@" })) : $0 }
    }

    @Test("a file is on disk before it is marked so, and marked before it is renamed")
    func orderOfArchiving() throws {
        let scratch = try Scratch()
        var directory = try open(settings(scratch.path("d")))
        write("line\n", to: &directory)
        let seam = Seam()
        seam.during { directory.rotate() }
        #expect(durable(seam) == ["fsync", "fchmod", "rename current", "open current"])
        write("line\n", to: &directory)
        let end = Seam()
        end.during { directory.end() }
        #expect(durable(end) == ["fsync", "fchmod"])
    }

    @Test("so are what a processor makes of it, and the state it leaves")
    func orderOfProcessing() throws {
        let scratch = try Scratch()
        var directory = try open(settings(scratch.path("d"), processor: "cat"))
        write("line\n", to: &directory)
        let seam = Seam()
        seam.during { directory.rotate() }
        #expect(
            durable(seam) == [
                "fsync", "fchmod", "rename current", "open current",
                "unlink processed", "unlink newstate", "spawn /bin/sh",
                "fsync", "fchmod", "fsync", "unlink previous", "rename newstate",
                "rename processed",
            ])
    }

    @Test("lines go on after current was removed, and after the directory was")
    func removed() throws {
        let scratch = try Scratch()
        var directory = try open(settings(scratch.path("d")))
        write("gone\n", to: &directory)
        try FileManager.default.removeItem(atPath: scratch.path("d/current"))
        write("first\n", to: &directory)
        #expect(try scratch.text("d/current") == "first\n")
        try FileManager.default.removeItem(atPath: scratch.path("d"))
        write("second\n", to: &directory)
        #expect(try scratch.log("d") == "second\n")
        directory.rotate()
        write("third\n", to: &directory)
        directory.end()
        #expect(try scratch.log("d") == "second\nthird\n")
        #expect(throws: Failure.self) { _ = try open(settings(scratch.path("d"))) }
    }

    @Test("a rotation finds current removed, moved or replaced, and starts a new one")
    func replaced() throws {
        for processor in [nil, "cat"] as [ByteString?] {
            let scratch = try Scratch()
            try scratch.put("victim", "unharmed")
            var directory = try open(settings(scratch.path("d"), processor: processor))
            for change in [
                "rm d/current", "mv d/current old", "cp d/current x; mv x d/current",
                "rm d/current; ln -s ../victim d/current", "rm d/current; ln victim d/current",
            ] {
                write("one\n", to: &directory)
                try scratch.shell(change)
                directory.rotate()
                write("two\n", to: &directory)
                #expect(try scratch.text("d/current") == "two\n", "\(change)")
                directory.rotate()
            }
            #expect(try scratch.text("victim") == "unharmed")
            #expect(try scratch.mode("victim") == 0o644)
            #expect(try scratch.text("old") == "one\n")
        }
    }

    @Test("a processor does without a state or a file that was removed")
    func removedFromProcessor() throws {
        let scratch = try Scratch()
        var directory = try open(
            settings(scratch.path("d"), processor: "cat; wc -c <&4; rm -f state"))
        for _ in 0..<2 {
            write("one\n", to: &directory)
            directory.rotate()
        }
        #expect(try scratch.log("d") == "one\n0\none\n0\n")
        let other = try Scratch()
        var pauses = 0
        directory = try open(
            settings(other.path("d"), processor: "rm previous; exit 1"), .silent { pauses += 1 })
        write("one\n", to: &directory)
        directory.rotate()
        #expect(pauses == 1)
    }

    @Test("a volume without hard links is no trouble")
    func withoutLinks() throws {
        let scratch = try Scratch()
        let seam = Seam()
        seam.fail("link", with: .notPermitted, times: 1000)
        try seam.during {
            try logTwoFiles(scratch.path("d"), processor: nil) { Issue.record("a pause") }
        }
        #expect(try scratch.log("d") == "first\nsecond\n")
    }

    @Test("directories named like archives are neither counted nor in the way")
    func directoriesAmongArchives() throws {
        let scratch = try Scratch()
        for number in 1...5 { try scratch.makeDirectory("d/@400000003b9aca0a0000000\(number)") }
        var directory = try open(
            settings(scratch.path("d"), count: 2), .silent { Issue.record("a pause") })
        for number in 1...3 {
            write("\(number)\n", to: &directory)
            directory.rotate()
        }
        let files = try scratch.archived("d").filter { $0.hasSuffix(".s") }
        #expect(try files.map { try scratch.text("d/\($0)") } == ["3\n"])
        #expect(try scratch.archived("d").count == 6)
    }

    @Test("after the clock was set back the new files are still the newest, and are kept")
    func clockSetBack() throws {
        let scratch = try Scratch()
        try scratch.makeDirectory("d")
        // The year 2106, to the last nanosecond of a second.
        try scratch.put("d/@40000001000000003b9ac9ff.s", "old\n")
        var directory = try open(settings(scratch.path("d"), count: 3))
        for number in 1...3 {
            write("\(number)\n", to: &directory)
            directory.rotate()
        }
        #expect(
            try scratch.archived("d") == [
                "@400000010000000100000001.s", "@400000010000000100000002.s",
            ])
        #expect(try scratch.log("d") == "2\n3\n")
    }

    @Test("what cannot be removed does not stop the log")
    func unremovable() throws {
        let scratch = try Scratch()
        try scratch.makeDirectory("d")
        for number in 1...4 {
            try scratch.put("d/@400000003b9aca0a0000000\(number).s", "\(number)\n")
        }
        var directory = try open(
            settings(scratch.path("d"), count: 3), .silent { Issue.record("a pause") })
        write("new\n", to: &directory)
        let seam = Seam()
        seam.fail("unlink", with: .notPermitted)
        seam.during { directory.rotate() }
        #expect(try scratch.log("d") == "1\n4\nnew\n")
    }

    @Test("told to end, it tries for some seconds more, and then says what is lost")
    func givingUp() throws {
        let scratch = try Scratch()
        var isTold = false
        let start = Instant.now
        var directory = try open(settings(scratch.path("d")), .silent(endingAfter: { isTold }))
        write("kept\n", to: &directory)
        let seam = Seam()
        seam.fail("write", with: .noSpace, times: 1000)
        isTold = true
        seam.during { write("lost\n", to: &directory) }
        #expect(Instant.now >= start.advanced(milliseconds: 4900))
        #expect(Instant.now < start.advanced(milliseconds: 20_000))
        #expect(directory.lostBytes == 5)
        write("later\n", to: &directory)
        directory.rotate()
        directory.end()
        #expect(directory.lostBytes == 11)
        #expect(try scratch.log("d") == "kept\n")
        #expect(try scratch.mode("d/current") == 0o644)
    }

    @Test(
        "files of whatever kind that stand in the way are not written to",
        arguments: [nil, "cat"] as [ByteString?])
    func standingInTheWay(processor: ByteString?) throws {
        for name in ["previous", "processed", "state", "newstate"] {
            for kind in ["ln -s ../victim", "ln ../victim", "mkfifo"] {
                let scratch = try Scratch()
                try scratch.put("victim", "unharmed", mode: 0o744)
                try scratch.makeDirectory("d")
                try scratch.shell("cd d && \(kind) \(name)")
                var directory = try open(settings(scratch.path("d"), processor: processor))
                write("one\n", to: &directory)
                directory.rotate()
                directory.end()
                #expect(try scratch.text("victim") == "unharmed", "\(kind) \(name)")
                #expect(try scratch.mode("victim") == 0o744)
                let logs = try scratch.archived("d").filter { $0.hasSuffix(".s") }
                #expect(try logs.map { try scratch.text("d/\($0)") } == ["one\n"])
            }
        }
        for command in [
            "ln -s ../victim lock", "mkfifo lock", "ln -s ../victim current", "mkfifo current",
            "mkdir current",
        ] {
            let scratch = try Scratch()
            try scratch.put("victim", "unharmed", mode: 0o744)
            try scratch.makeDirectory("d")
            try scratch.shell("cd d && \(command)")
            #expect(throws: Failure.self) { _ = try open(settings(scratch.path("d"))) }
            #expect(try scratch.text("victim") == "unharmed")
        }
    }

    @Test(
        "root follows no link of another user to a directory of its own",
        .enabled(if: geteuid() == 0))
    func foreignLink() throws {
        let scratch = try Scratch()
        for name in ["root", "joe"] { try scratch.makeDirectory(name) }
        try scratch.shell(
            "chown 1234 joe && cd joe && ln -s ../root d && chown -h 1234 d && ln -s ../root r")
        do {
            _ = try open(settings(scratch.path("joe/d")))
            Issue.record("it was opened")
        } catch let failure as Failure {
            #expect(failure.errno == .foreignLink)
        }
        #expect(try scratch.names("root").isEmpty)
        _ = try open(settings(scratch.path("joe/r")))
        #expect(scratch.exists("root/current"))
    }

    @Test("a directory in use is refused, and free again with its logger")
    func locked() throws {
        let scratch = try Scratch()
        do {
            var holder = try open(settings(scratch.path("d")))
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
