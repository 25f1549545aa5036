import Bytes
import Commands
import Foundation
import Linux
import ServiceFiles
import Services
import Testing

extension Scratch {
    fileprivate func read() throws -> DefinitionReader {
        let place = try open()
        return DefinitionReader(Directory(place), name: "web")
    }

    fileprivate func putProgram(_ name: ByteString) throws {
        try put(name, "#!/bin/sh\n")
        try setPermissions(of: "\(path)/\(name)", 0o755)
    }
}

private func text(_ problems: [DefinitionProblem]) -> [String] {
    problems.map { String(decoding: $0.description.bytes, as: UTF8.self) }
}

private func changed(_ change: (inout ServiceDefinition) -> Void) -> ServiceDefinition {
    var definition = ServiceDefinition.plain
    change(&definition)
    return definition
}

/// What s6 does where nothing says otherwise.
private func asS6(_ change: (inout ServiceDefinition) -> Void) -> ServiceDefinition {
    changed {
        $0.dialect = .s6
        $0.finishLimit = 5_000_000_000
        change(&$0)
    }
}

@Suite("Reading a service directory") struct DefinitionReaderTests {
    @Test("A plain one asks for nothing, and costs one look at its names")
    func plain() throws {
        let scratch = try Scratch()
        try scratch.putProgram("run")
        try scratch.makeDirectory("log")
        try scratch.makeDirectory("supervise")
        try scratch.put("config", "anything")
        // Any other call than those of one listing fails.
        let seam = Seam()
        seam.fail("stat", with: .noMemory)
        seam.fail("read", with: .noMemory)
        seam.fail("open", with: .noMemory, skip: 1)
        let place = try scratch.open()
        let (definition, problems) = seam.during {
            DefinitionReader.read(Directory(place), name: "web")
        }
        #expect(definition == .plain)
        #expect(problems == [])
    }

    @Test("An empty one, too")
    func empty() throws {
        let reader = try Scratch().read()
        #expect(reader.definition == .plain)
        #expect(!reader.isDown)
    }

    @Test("runit's: finish has no limit, and is told in its way")
    func runit() throws {
        let scratch = try Scratch()
        for name in ["run", "finish", "check"] as [ByteString] { try scratch.putProgram(name) }
        try scratch.makeDirectory("control")
        try scratch.put("down")
        let reader = try scratch.read()
        #expect(reader.definition == changed { $0.programs = [.run, .finish, .control] })
        #expect(reader.problems == [])
        #expect(reader.isDown)
        try scratch.putProgram("control/u")
        #expect(try scratch.read().definition.programs == [.run, .finish, .control, .announce])
    }

    @Test("Directories by the names of files are none of ours")
    func kinds() throws {
        let scratch = try Scratch()
        for name in ["finish", "start", "settings", "type", "notification-fd"] as [ByteString] {
            try scratch.makeDirectory(name)
        }
        let reader = try scratch.read()
        #expect(reader.definition == .plain)
        #expect(reader.problems == [])
    }

    @Test("encore's: only what can be executed, and run may be missing")
    func encore() throws {
        let scratch = try Scratch()
        try scratch.putProgram("start")
        try scratch.put("stop", "not a program")
        try scratch.putProgram("notify")
        try scratch.put("no-setsid")
        #expect(try scratch.read().definition == changed { $0.programs = [.start, .notify] })
        try scratch.putProgram("run")
        try setPermissions(of: "\(scratch.path)/stop", 0o755)
        let expected = changed { $0.programs = [.run, .start, .stop, .notify] }
        #expect(try scratch.read().definition == expected)
    }

    @Test("s6's: each file, and its defaults once there is one of them")
    func s6() throws {
        let scratch = try Scratch()
        try scratch.putProgram("finish")
        try scratch.put("max-death-tally", "20\n")
        let plain = asS6 { $0.programs = [.run, .finish] }
        #expect(try scratch.read().definition == plain)
        try scratch.put("timeout-finish", "0\n")
        try scratch.put("timeout-kill", " 2500 \nmore\n")
        try scratch.put("flag-timeout-killpg")
        try scratch.put("down-signal", "SIGQUIT")
        try scratch.put("reload-signal", "12\n")
        try scratch.put("notification-fd", "3\n")
        let reader = try scratch.read()
        #expect(reader.problems == [])
        #expect(
            reader.definition
                == asS6 {
                    $0.programs = [.run, .finish]
                    $0.finishLimit = nil
                    $0.stopLimit = 2_500_000_000
                    $0.killsGroup = true
                    $0.stopSignal = 3
                    $0.reloadSignal = 12
                    $0.readiness = .descriptor(3)
                })
    }

    @Test("s6's values that cannot be understood are told, and leave their defaults")
    func wrongS6() throws {
        let scratch = try Scratch()
        try scratch.put("timeout-finish", "5s\n")
        try scratch.put("timeout-kill", "")
        try scratch.put("down-signal", "SIGFOO\n")
        try scratch.put("notification-fd", "0\n")
        try scratch.put("reload-signal", "USR1\n")
        try scratch.put("lock-fd", "5\n")
        try scratch.put("flag-newpidns")
        let reader = try scratch.read()
        #expect(reader.definition == asS6 { $0.reloadSignal = 10 })
        #expect(
            text(reader.problems).sorted() == [
                #"web/down-signal:1: "SIGFOO" is no signal"#,
                "web/flag-newpidns: no effect: the service gets no PID namespace of its own",
                "web/lock-fd: no effect: no lock is held for the service",
                #"web/notification-fd:1: "0" is no number from 1 to 65535"#,
                #"web/timeout-finish:1: "5s" is no number from 0 to 4294967295"#,
                #"web/timeout-kill:1: "" is no number from 0 to 4294967295"#,
            ])
    }

    @Test("s6-rc's service that stays")
    func longrun() throws {
        let scratch = try Scratch()
        try scratch.putProgram("run")
        try scratch.put("type", "longrun\n")
        try scratch.put("dependencies", "# first\n\n db \ncache\r\n")
        try scratch.makeDirectory("dependencies.d")
        try scratch.put("dependencies.d/queue")
        try scratch.put("dependencies.d/disk")
        try scratch.put("dependencies.d/.keep")
        try scratch.put("notification-fd", "4")
        try scratch.put("timeout-up", "3000")
        try scratch.put("timeout-down", "3000")
        try scratch.put("flag-essential")
        try scratch.put("down")
        let reader = try scratch.read()
        #expect(reader.problems == [])
        #expect(reader.isDown)
        #expect(
            reader.definition
                == asS6 {
                    $0.needs = ["db", "cache", "disk", "queue"]
                    $0.readiness = .descriptor(4)
                    $0.readyLimit = 3_000_000_000
                })
    }

    @Test("s6-rc's one-shot, whose down is a program")
    func oneshot() throws {
        let scratch = try Scratch()
        try scratch.put("type", "oneshot")
        try scratch.putProgram("up")
        try scratch.putProgram("down")
        try scratch.put("timeout-up", "1")
        try scratch.put("timeout-down", "0")
        let reader = try scratch.read()
        #expect(reader.problems == [])
        #expect(!reader.isDown)
        #expect(
            reader.definition
                == asS6 {
                    $0.kind = .oneshot
                    $0.programs = [.run, .up, .down]
                    $0.upLimit = 1_000_000
                })
        try scratch.put("down", "rm -f /run/x\n")
        try setPermissions(of: "\(scratch.path)/down", 0o644)
        let other = try scratch.read()
        // A command line is as good.
        #expect(other.problems == [])
        #expect(!other.isDown)
        #expect(other.definition.programs == [.run, .up, .down])
        try scratch.put("down", "")
        let third = try scratch.read()
        #expect(third.isDown && third.problems == [])
    }

    @Test("s6-rc's bundle")
    func bundle() throws {
        let scratch = try Scratch()
        try scratch.put("type", "bundle")
        try scratch.put("contents", "a\nb/c\nd")
        try scratch.makeDirectory("contents.d")
        try scratch.put("contents.d/e")
        try scratch.put("contents.d/f\ng")
        let reader = try scratch.read()
        #expect(
            reader.definition
                == asS6 {
                    $0.kind = .bundle
                    $0.programs = []
                    $0.contents = ["a", "d", "e"]
                })
        #expect(
            text(reader.problems) == [
                #"web/contents:2: "b/c" is no name of a service"#,
                #"web/contents.d: "f\ng" is no name of a service"#,
            ])
    }

    @Test("s6-rc's files count beside a type only; and those of pipelines")
    func noType() throws {
        let scratch = try Scratch()
        try scratch.put("contents", "what is here")
        try scratch.put("up")
        #expect(try scratch.read().definition == .plain)
        #expect(try scratch.read().problems == [])
        try scratch.put("dependencies", "db")
        #expect(
            text(try scratch.read().problems) == [
                "web/dependencies: no effect without a file type, as in s6-rc"
            ])
        try scratch.put("type", "service\n")
        #expect(
            text(try scratch.read().problems) == [
                #"web/type:1: "service" is not one of longrun, oneshot, bundle"#
            ])
        #expect(try scratch.read().definition == .plain)
        try scratch.put("type", "longrun")
        try scratch.put("producer-for", "# who reads\nweb-log\n")
        try scratch.put("consumer-for", "a\nb\n")
        try scratch.put("pipeline-name", "all\n")
        var reader = try scratch.read()
        #expect(reader.definition.needs == ["db"] && reader.definition.consumer == "web-log")
        #expect(reader.definition.producers == ["a", "b"])
        #expect(reader.definition.pipelineName == "all" && reader.problems == [])
        let problem = DependencyGraph(["web": reader.definition, "db": .plain]).problems.first
        #expect(problem.map { reader.source(of: $0) }?.file == "web/producer-for")
        #expect(problem.map { reader.source(of: $0) }?.line == 2)
        try scratch.makeDirectory("log")
        try scratch.put("producer-for", "x\ny\n")
        reader = try scratch.read()
        #expect(reader.definition.consumer == "x")
        #expect(
            text(reader.problems) == [
                "web/producer-for: more than one reader",
                "web/producer-for: no effect: what it writes goes to log/",
            ])
        // It says nothing of a one-shot.
        try scratch.put("type", "oneshot")
        #expect(try scratch.read().definition.consumer == nil)
    }

    @Test("settings goes before what other files say")
    func settings() throws {
        let scratch = try Scratch()
        try scratch.putProgram("finish")
        try scratch.put("notification-fd", "3")
        try scratch.put("timeout-kill", "1000")
        try scratch.put("settings", "ready notify\nneed db\nneeds db\nfinish-timeout 1s\n")
        let reader = try scratch.read()
        #expect(
            reader.definition
                == asS6 {
                    $0.programs = [.run, .finish]
                    $0.readiness = .notify
                    $0.stopLimit = 1_000_000_000
                    $0.needs = ["db"]
                    $0.finishLimit = 1_000_000_000
                })
        #expect(
            text(reader.problems) == [
                #"web/settings:2: unknown setting "need", did you mean "needs"?"#
            ])
        #expect(reader.settings.line(of: "needs", naming: "db") == 3)
    }

    @Test(
        "finish-arguments brings its usual limit, unless one is said",
        arguments: [
            ("s6", "", nil, 5_000_000_000), ("runit", "", "100", 100_000_000),
            ("s6", "finish-timeout never", nil, nil),
            ("s6", "finish-timeout 1s", nil, 1_000_000_000),
        ] as [(String, String, String?, UInt64?)])
    func finishArguments(dialect: String, line: String, file: String?, limit: UInt64?) throws {
        let scratch = try Scratch()
        try scratch.put("settings", "finish-arguments \(dialect)\n\(line)")
        if let file { try scratch.put("timeout-finish", file) }
        let definition = try scratch.read().definition
        #expect(definition.dialect == (dialect == "s6" ? .s6 : .runit))
        #expect(definition.finishLimit == limit)
    }

    @Test("runit's arguments in a directory of s6's take s6's limit away")
    func runitInS6() throws {
        let scratch = try Scratch()
        try scratch.put("down-signal", "INT")
        try scratch.put("settings", "finish-arguments runit\n")
        let definition = try scratch.read().definition
        #expect(definition.dialect == .runit && definition.finishLimit == nil)
        #expect(definition.stopSignal == 2)
    }

    @Test("What cannot be read is told, at once, and nothing else suffers")
    func unreadable() throws {
        let scratch = try Scratch()
        try makeFIFO("\(scratch.path)/settings", permissions: 0o600)
        try scratch.put("down-signal", String(repeating: "x", count: 65_537))
        try scratch.link("type", to: "/dev/zero")
        try scratch.link("timeout-kill", to: "nowhere")
        try scratch.link("reload-signal", to: "reload-signal")
        try scratch.put("timeout-finish", "7")
        let reader = try scratch.read()
        #expect(
            text(reader.problems).sorted() == [
                "web/down-signal: longer than 65536 bytes",
                "web/reload-signal: symbolic link loop", "web/settings: not a regular file",
                "web/type: not a regular file",
            ])
        #expect(reader.definition == asS6 { $0.finishLimit = 7_000_000 })
    }

    @Test("A link is followed if root made it, as for a mounted volume")
    func links() throws {
        let scratch = try Scratch()
        try scratch.makeDirectory("..data")
        try scratch.put("..data/settings", "restart never")
        try scratch.link("settings", to: "..data/settings")
        #expect(try scratch.read().definition == changed { $0.restart = .never })
    }

    @Test(
        "A link of another user is not followed to what is not his",
        .enabled(if: geteuid() == 0, "needs other users"))
    func foreignLinks() throws {
        let scratch = try Scratch()
        try scratch.link("settings", to: "/etc/passwd", owner: 4711)
        try scratch.makeDirectory("elsewhere")
        try scratch.put("elsewhere/secret")
        try scratch.link("dependencies.d", to: "elsewhere", owner: 4711)
        try scratch.put("type", "longrun", owner: 4711)
        let reader = try scratch.read()
        #expect(
            text(reader.problems).sorted() == [
                "web/dependencies.d: link made by another user",
                "web/settings: link made by another user",
            ])
        #expect(reader.definition == asS6 { _ in })
    }

    @Test("Without its names, the directory is a plain one")
    func noNames() throws {
        let scratch = try Scratch()
        try scratch.put("settings", "restart never")
        let seam = Seam()
        seam.fail("open", with: .accessDenied)
        let place = try scratch.open()
        let (definition, problems) = seam.during {
            DefinitionReader.read(Directory(place), name: "web")
        }
        #expect(definition == .plain)
        #expect(text(problems) == ["web: unable to read directory: access denied"])
    }

    @Test("A file that goes meanwhile is not there, any other failure is told")
    func failures() throws {
        let scratch = try Scratch()
        try scratch.put("settings", "restart never")
        let place = try scratch.open()
        for (call, cause, lines) in [
            ("open", .noEntry, []),
            ("open", .tooManyFiles, ["web/settings: system cannot open more files"]),
            ("read", .noMemory, ["web/settings: out of memory"]),
        ] as [(String, Errno, [String])] {
            let seam = Seam()
            seam.fail(call, with: cause, skip: call == "open" ? 1 : 0)
            let (definition, problems) = seam.during {
                DefinitionReader.read(Directory(place), name: "web")
            }
            #expect(definition == .plain)
            #expect(text(problems) == lines)
        }
    }

    @Test("There is an end to what is complained of, and to what is read")
    func bounds() throws {
        let scratch = try Scratch()
        try scratch.put("type", "longrun")
        try scratch.put("dependencies", String(repeating: "a/b\n", count: 10_000))
        #expect(try scratch.read().problems.count == 100)
        try scratch.put("dependencies", String(repeating: "a\n", count: 10_000))
        let reader = try scratch.read()
        #expect(reader.definition.needs.count == 4096)
    }

    @Test("Names are made fit for a terminal")
    func visible() {
        let problem = DefinitionProblem(file: "a\nb/settings", line: 2, text: "x")
        #expect(problem.description == "a\\nb/settings:2: x")
        #expect(DefinitionProblem(file: "web", text: "x").description == "web: x")
    }
}
