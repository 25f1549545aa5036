import Bytes
import Testing

@testable import Services

private func apply(_ text: String, to start: ServiceDefinition = .plain)
    -> (definition: ServiceDefinition, problems: [String])
{
    var definition = start
    let problems = Settings(Array(text.utf8)).apply(to: &definition)
    return (
        definition, problems.map { "\($0.line): " + String(decoding: $0.text.bytes, as: UTF8.self) }
    )
}

private func changed(_ change: (inout ServiceDefinition) -> Void) -> ServiceDefinition {
    var definition = ServiceDefinition.plain
    change(&definition)
    return definition
}

/// A text, and what it changes.
struct Said: CustomTestStringConvertible, Sendable {
    let text: String
    let change: @Sendable (inout ServiceDefinition) -> Void
    var testDescription: String { text }

    init(_ text: String, _ change: @escaping @Sendable (inout ServiceDefinition) -> Void) {
        self.text = text
        self.change = change
    }

    static let all: [Said] = [
        Said("") { _ in },
        Said("# nothing\n\n   \t\n  # else") { _ in },
        Said("type longrun") { _ in },
        Said("type oneshot") { $0.kind = .oneshot },
        Said("type bundle\ncontents a b\n contents\tc  # and no more") {
            $0.kind = .bundle
            $0.contents = ["a", "b", "c"]
        },
        Said("needs db cache\nneeds queue") { $0.needs = ["db", "cache", "queue"] },
        Said("needs \"my db\" \"a\\\"b\" \"c\\\\d\" \"#e\" f#g \"h\\i\"") {
            $0.needs = ["my db", "a\"b", "c\\d", "#e", "f#g", "h\\i"]
        },
        Said("wants a\nafter b\nbefore c") {
            ($0.wants, $0.after, $0.before) = (["a"], ["b"], ["c"])
        },
        Said("ready start") { _ in },
        Said("ready notify\nwatchdog 20s") {
            ($0.readiness, $0.watchdog) = (.notify, 20_000_000_000)
        },
        Said("watchdog 1m\nready notify") {
            ($0.readiness, $0.watchdog) = (.notify, 60_000_000_000)
        },
        Said("ready notification-fd 3") { $0.readiness = .descriptor(3) },
        Said("ready command ./check") { $0.readiness = .command("./check") },
        Said("ready command \"./check it\" # now") { $0.readiness = .command("./check it") },
        Said("ready command ./check # now") { $0.readiness = .command("./check") },
        Said("ready command   test \"$A\"/b = 'it''s \" # #'   ") {
            $0.readiness = .command("test \"$A\"/b = 'it''s \" # #'")
        },
        Said("ready tcp 127.0.0.1:80") { $0.readiness = .tcp("127.0.0.1:80") },
        Said("ready tcp [::1]:65535") { $0.readiness = .tcp("[::1]:65535") },
        Said("ready unix /run/db.sock") { $0.readiness = .unix("/run/db.sock") },
        Said("ready notify\nready-timeout 1h\nready-failure restart") {
            ($0.readiness, $0.readyLimit, $0.ifLate) = (.notify, 3_600_000_000_000, .restart)
        },
        Said("ready-failure proceed\nready-timeout 1ms\nready notify") {
            ($0.readiness, $0.readyLimit, $0.ifLate) = (.notify, 1_000_000, .proceed)
        },
        Said("ready-timeout never") { _ in },
        Said("restart on-failure") { $0.restart = .onFailure },
        Said("restart never") { $0.restart = .never },
        Said("restart-delay 500ms") { ($0.delay, $0.longestDelay) = (500_000_000, 500_000_000) },
        Said("restart-delay 1s 1m") {
            ($0.delay, $0.longestDelay) = (1_000_000_000, 60_000_000_000)
        },
        Said("restart-limit 5 in 10s") {
            ($0.restartLimit, $0.limitWindow) = (5, 10_000_000_000)
        },
        Said("success 0 1 TERM\nsuccess SIGHUP 1") {
            $0.successes = [.code(0), .code(1), .signal(15), .signal(1)]
        },
        Said("final 100 kill") { $0.finals = [.code(100), .signal(9)] },
        Said("on-end restart-dependents\non-failure run alarm") {
            ($0.onEnd, $0.onFailure) = (.restartDependents, .run("alarm"))
        },
        Said("on-end nothing") { _ in },
        Said("essential") { $0.isEssential = true },
        Said("stop-signal SIGQUIT\nreload-signal 10") {
            ($0.stopSignal, $0.reloadSignal) = (3, 10)
        },
        Said("stop-timeout 10s\nstop-reach everything") {
            ($0.stopLimit, $0.stopReach) = (10_000_000_000, .everything)
        },
        Said("finish-timeout 2s\nfinish-arguments s6") {
            ($0.finishLimit, $0.dialect) = (2_000_000_000, .s6)
        },
        Said("down-timeout 2s\nup-timeout 1s\ntype oneshot") {
            $0.kind = .oneshot
            ($0.upLimit, $0.downLimit) = (1_000_000_000, 2_000_000_000)
        },
        Said("environment env") { $0.environment = "env" },
        Said("start-on-connection\nlisten tcp [::]:80 http\nlisten unix /run/web.sock\nfd-store 7")
        {
            $0.startsOnConnection = true
            $0.storeLimit = 7
            $0.sockets = [
                .init(kind: .tcp, address: "[::]:80", name: "http"),
                .init(kind: .unix, address: "/run/web.sock", name: "unknown"),
            ]
        },
        Said("listen udp 0.0.0.0:53\nlisten unix-datagram /dev/log log") {
            $0.sockets = [
                .init(kind: .udp, address: "0.0.0.0:53", name: "unknown"),
                .init(kind: .unixDatagram, address: "/dev/log", name: "log"),
            ]
        },
    ]
}

@Suite("The file settings") struct SettingsTests {
    @Test("Each setting says what it says, with a newline at the end or none", arguments: Said.all)
    func said(_ said: Said) {
        for end in ["", "\n"] {
            let (definition, problems) = apply(said.text + end)
            #expect(problems == [])
            #expect(definition == changed(said.change))
        }
    }

    @Test("The order of lines has no meaning, but in lists", arguments: Said.all)
    func order(_ said: Said) {
        let lines = said.text.split(separator: "\n").reversed().joined(separator: "\n")
        let (definition, problems) = apply(lines)
        #expect(problems == [])
        var expected = changed(said.change)
        #expect(Set(definition.needs) == Set(expected.needs))
        #expect(Set(definition.contents) == Set(expected.contents))
        #expect(Set(definition.successes) == Set(expected.successes))
        #expect(definition.sockets.count == expected.sockets.count)
        expected.needs = definition.needs
        expected.contents = definition.contents
        expected.successes = definition.successes
        expected.sockets = definition.sockets
        #expect(definition == expected)
    }

    @Test("Every name is tried")
    func allNames() {
        for name in SettingName.allCases {
            #expect(SettingName(named: name.word) == name)
            #expect(
                Said.all.contains { said in
                    said.text.split(separator: "\n").contains {
                        $0.split { " \t".contains($0) }.first.map { ByteString(String($0)) }
                            == name.word
                    }
                }, "\(name)")
        }
    }

    @Test(
        "Each mistake is told with its line, and costs no other line",
        arguments: [
            ("need db", #"unknown setting "need", did you mean "needs"?"#),
            (
                "ready_timeout 5s",
                #"unknown setting "ready_timeout", did you mean "ready-timeout"?"#
            ),
            ("restrat never", #"unknown setting "restrat", did you mean "restart"?"#),
            ("exec httpd", #"unknown setting "exec""#),
            ("\u{1b}[2J", #"unknown setting "\x1b[2J""#),
            ("needs", #""needs" wants one or more names of services"#),
            ("needs a/b", #""a/b" is no name of a service"#),
            ("wants .", #""." is no name of a service"#),
            ("wants \"\"", #""" is no name of a service"#),
            ("before .hidden", #"".hidden" is no name of a service"#),
            ("needs \"db", "a quote is not closed"),
            ("needs \"db\"x", "no blank follows the closing quote"),
            ("needs db\r", "the line ends in CR LF"),
            ("needs d\0b", "there is a NUL byte in the line"),
            ("type", #""type" wants one of longrun, oneshot, bundle"#),
            ("type service", #""service" is not one of longrun, oneshot, bundle"#),
            (
                "type one-shot",
                #""one-shot" is not one of longrun, oneshot, bundle, did you mean "oneshot"?"#
            ),
            ("type longrun oneshot", #""type" wants one of longrun, oneshot, bundle"#),
            (
                "restart allways",
                #""allways" is not one of always, on-failure, never, did you mean "always"?"#
            ),
            (
                "ready soon",
                #""ready" wants start, notify, notification-fd NUMBER, command WORDS, tcp ADDRESS:PORT or unix PATH"#
            ),
            (
                "ready command # nothing",
                #""ready" wants start, notify, notification-fd NUMBER, command WORDS, tcp ADDRESS:PORT or unix PATH"#
            ),
            ("ready notification-fd 2", #""2" is no number from 3 to 65535"#),
            (
                "ready tcp localhost:80",
                #""localhost:80" is no address: write 127.0.0.1:80 or [::1]:80, as names are not looked up"#
            ),
            (
                "ready tcp ::1:80",
                #""::1:80" is no address: write 127.0.0.1:80 or [::1]:80, as names are not looked up"#
            ),
            (
                "ready tcp [127.0.0.1]:80",
                #""[127.0.0.1]:80" is no address: write 127.0.0.1:80 or [::1]:80, as names are not looked up"#
            ),
            (
                "listen tcp 127.0.0.1:0",
                #""127.0.0.1:0" is no address: write 127.0.0.1:80 or [::1]:80, as names are not looked up"#
            ),
            (
                "ready unix \(String(repeating: "x", count: 108))",
                #""ready" wants a path from / of at most 107 bytes"#
            ),
            (
                "listen tcp",
                #""listen" wants tcp, udp, unix or unix-datagram, an address, and perhaps a name"#
            ),
            (
                "listen sctp 1.2.3.4:5",
                #""listen" wants tcp, udp, unix or unix-datagram, an address, and perhaps a name"#
            ),
            (
                "listen unix /s a:b",
                #""a:b" is no name of a socket: printable, without blanks and colons"#
            ),
            (
                "stop-timeout 10",
                #""10" is no time: a number up to a year and ms, s, m or h, like 500ms or 10s"#
            ),
            (
                "stop-timeout 10sec",
                #""10sec" is no time: a number up to a year and ms, s, m or h, like 500ms or 10s"#
            ),
            (
                "stop-timeout -1s",
                #""-1s" is no time: a number up to a year and ms, s, m or h, like 500ms or 10s"#
            ),
            (
                "stop-timeout 99999999999999999999h",
                #""99999999999999999999h" is no time: a number up to a year and ms, s, m or h, like 500ms or 10s"#
            ),
            ("stop-timeout 0s", #""0s" is no time: it must be more than nothing"#),
            ("stop-timeout", #""stop-timeout" wants a time, like 10s, or never"#),
            (
                "restart-delay 1s 2s 3s",
                #""restart-delay" wants a time, or a first and a longest one"#
            ),
            ("restart-delay 2s 1s", "the longest delay is shorter than the first"),
            ("restart-limit 5", #""restart-limit" wants a number and a time, like 5 in 10s"#),
            ("restart-limit 0 in 5s", #""0" is no number from 1 to 4096"#),
            ("success", #""success" wants exit codes and names of signals"#),
            (
                "success 256",
                #""256" is neither an exit code from 0 to 255 nor the name of a signal"#
            ),
            ("final FOO", #""FOO" is neither an exit code from 0 to 255 nor the name of a signal"#),
            (
                "on-end",
                #""on-end" wants nothing, restart-dependents, or run and the name of a service"#
            ),
            (
                "on-failure run",
                #""on-failure" wants nothing, restart-dependents, or run and the name of a service"#
            ),
            ("on-failure run a/b", #""a/b" is no name of a service"#),
            ("essential yes", #""essential" wants nothing"#),
            ("stop-signal SIGFOO", #""SIGFOO" is no signal"#),
            ("stop-signal 65", #""65" is no signal"#),
            ("stop-signal", #""stop-signal" wants a signal, like HUP"#),
            ("environment a b", #""environment" wants the name of a directory"#),
            ("start-on-connection", #""start-on-connection" wants a "listen""#),
            ("watchdog 5s", #""watchdog" wants "ready notify""#),
            ("ready-failure fail", #""ready-failure" wants a "ready-timeout""#),
            ("ready-timeout 5s", #""ready-timeout" wants a "ready" other than start"#),
            ("contents a", #""contents" says nothing of a longrun"#),
            ("up-timeout 5s", #""up-timeout" says nothing of a longrun"#),
            ("fd-store 2000", #""2000" is no number from 0 to 1024"#),
        ])
    func mistakes(line: String, text: String) {
        let (definition, problems) = apply("after early\n\n\(line)\nwants late\n")
        #expect(problems == ["3: \(text)"])
        #expect(definition.after == ["early"])
        #expect(definition.wants == ["late"])
    }

    @Test("A setting with one value may stand once; the first holds")
    func twice() {
        let (definition, problems) = apply(
            "restart never\nneeds a\nrestart always\nneeds b\nrestart never")
        #expect(definition.restart == .never)
        #expect(definition.needs == ["a", "b"])
        #expect(
            problems == [
                #"3: "restart" is set in line 1 already"#,
                #"5: "restart" is set in line 1 already"#,
            ])
    }

    @Test("A byte order mark is told of, and costs nothing")
    func byteOrderMark() {
        let (definition, problems) = apply("\u{feff}needs a\nneed b")
        #expect(definition.needs == ["a"])
        #expect(problems.count == 2)
        #expect(problems.first == "1: there is a byte order mark before the line")
    }

    @Test("A bad word in a list costs no other")
    func badWord() {
        let (definition, problems) = apply("needs a b/c d e/f\nsuccess 1 what 2")
        #expect(definition.needs == ["a", "d"])
        #expect(definition.successes == [.code(1), .code(2)])
        #expect(problems.count == 2)
    }

    @Test("What goes with no such thing is told of", arguments: ["oneshot", "bundle"])
    func kinds(kind: String) {
        let (_, problems) = apply("ready notify\ntype \(kind)\nneeds a")
        #expect(problems == ["1: \"ready\" says nothing of a \(kind)"])
        let (_, more) = apply("restart never\ntype bundle")
        #expect(more == [#"1: "restart" says nothing of a bundle"#])
    }

    @Test("What other files said is the start, and conflicts with them are told")
    func onTop() {
        let start = changed {
            $0.kind = .oneshot
            $0.needs = ["a"]
            $0.stopSignal = 3
        }
        let (definition, problems) = apply("needs b\nfd-store 1", to: start)
        #expect(definition.needs == ["a", "b"])
        #expect(definition.stopSignal == 3)
        #expect(problems == [#"2: "fd-store" says nothing of a oneshot"#])
    }

    @Test("The line of a setting is known, that with the word if there is one")
    func lines() {
        let settings = Settings(Array("needs a\nafter b\nneeds b c\n".utf8))
        #expect(settings.line(of: "needs", naming: "c") == 3)
        #expect(settings.line(of: "needs", naming: "x") == 1)
        #expect(settings.line(of: "wants", naming: "x") == nil)
        #expect(settings.contains(.after) && !settings.contains(.before))
    }

    @Test("There is an end to what is complained of")
    func bounded() {
        var definition = ServiceDefinition.plain
        let settings = Settings(Array(String(repeating: "x\n", count: 30_000).utf8))
        #expect(settings.apply(to: &definition).count == 100)
        let sockets = (0..<100).map { "listen unix /s\($0)" }.joined(separator: "\n")
        let (found, problems) = apply(sockets)
        #expect(found.sockets.count == 64)
        #expect(problems.first == "65: more than 64 sockets")
    }

    @Test("Whatever the bytes, there is an answer, with the problems in order")
    func random() {
        let alphabet = Array(
            "needs ready tcp \"\"\\#\n\n\t type bundle 10s 1 in never\0\r\u{ff}".utf8)
        var random = RandomNumbers(seed: 1)
        for _ in 0..<500 {
            let bytes = (0..<random.below(120)).map { _ in alphabet[random.below(alphabet.count)] }
            DefinitionFormat.settings.take(bytes)
        }
    }
}

@Suite("Names of signals") struct SignalNameTests {
    @Test("Names, with or without SIG, in any case, and numbers")
    func names() {
        let expected: [(ByteString, Int32?)] = [
            ("TERM", 15), ("SIGTERM", 15), ("sigterm", 15), ("hup", 1), ("SYS", 31), ("WINCH", 28),
            ("IO", 29), ("POLL", 29), ("IOT", 6), ("CLD", 17), ("RTMIN", 34), ("SIGRTMIN+3", 37),
            ("RTMAX", 64), ("RTMAX-1", 63), ("RTMIN+31", nil), ("RTMIN+", nil), ("RTMAX-31", nil),
            ("1", 1), ("64", 64), ("0", nil), ("65", nil), ("", nil), ("SIG", nil), ("TER", nil),
            ("RTMIN-1", nil), ("RTMIN+-1", nil), ("99999999999999999999", nil),
        ]
        for (text, number) in expected {
            #expect(SignalNames.number(of: text) == number, "\(text)")
        }
        #expect(SignalNames.number(named: "15") == nil)
    }
}
