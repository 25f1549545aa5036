import Bytes
import Linux
import Testing

@testable import Init

private func tini(_ words: [ByteString], _ environment: [ByteString] = []) -> SmallInitRequest {
    SmallInit.tini(["/sbin/tini"] + words, Environment(environment), pid: 7, release: "1.2.3")
}

private func dumbInit(_ words: [ByteString], _ environment: [ByteString] = []) -> SmallInitRequest {
    SmallInit.dumbInit(["dumb-init"] + words, Environment(environment), release: "1.2.3")
}

private func catatonit(_ words: [ByteString], _ environment: [ByteString] = []) -> SmallInitRequest
{
    SmallInit.catatonit(["catatonit"] + words, Environment(environment), pid: 7, release: "1.2.3")
}

extension SmallInitRequest {
    fileprivate var plan: SmallInitPlan? { if case .run(let plan) = self { plan } else { nil } }
    fileprivate var code: Int32? {
        if case .say(_, _, let code) = self { code } else { nil }
    }
    fileprivate var descriptor: Int32? {
        if case .say(_, let descriptor, _) = self { descriptor } else { nil }
    }
    fileprivate var text: ByteString? {
        if case .say(let text, _, _) = self { text } else { nil }
    }
}

@Suite("The command lines of the small inits")
struct SmallInitOptionsTests {
    @Test("tini: defaults and each option")
    func tiniOptions() throws {
        let bare = try #require(tini(["x", "y"]).plan)
        #expect(bare.command == ["x", "y"] && bare.verbosity == 1)
        #expect(!bare.isSubreaper && !bare.reachesGroup && !bare.tellsOfOrphans)
        let all = try #require(
            tini(["-sgwvv", "-pSIGKILL", "-e", "143", "-e0", "--", "x", "-v"]).plan)
        #expect(all.command == ["x", "-v"] && all.verbosity == 3)
        #expect(all.isSubreaper && all.reachesGroup && all.tellsOfOrphans)
        #expect(all.parentDeathSignal == .kill && all.codesToZero == [143, 0])
        #expect(tini(["x", "-s"]).plan?.isSubreaper == true)
        #expect(tini(["x", "-s"], ["POSIXLY_CORRECT="]).plan?.command == ["x", "-s"])
    }

    @Test("tini: the environment")
    func tiniEnvironment() {
        #expect(tini(["x"], ["TINI_SUBREAPER="]).plan?.isSubreaper == true)
        #expect(tini(["x"], ["TINI_KILL_PROCESS_GROUP=0"]).plan?.reachesGroup == true)
        for (text, level) in [
            ("0", 0), ("3", 3), ("", 0), ("x", 0), ("2x", 2), ("-1", Int(Int32.max)),
        ] {
            let entry = ByteString("TINI_VERBOSITY=" + text as String)
            #expect(tini(["-vv", "x"], [entry]).plan?.verbosity == level, "\(text)")
        }
    }

    @Test("tini: what it prints, where, and its exit code")
    func tiniTexts() {
        #expect(
            tini(["--version"])
                == .say("tini version 0.19.0 - apus 1.2.3\n", to: 1, exitCode: 0))
        #expect(tini(["--version", "x"]).code == 1)
        for (words, descriptor, code) in [
            (["-h"], 1, 0), (["-l"], 1, 0), ([], 2, 1), (["--"], 2, 1), (["-z"], 2, 1),
            (["-e"], 2, 1),
            (["-e", "256", "x"], 2, 1), (["-p", "TERM", "x"], 2, 1),
        ] as [([ByteString], Int32, Int32)] {
            let request = tini(words)
            #expect(request.descriptor == descriptor && request.code == code, "\(words.count)")
        }
        #expect(
            tini(["-e", "x", "y"]).text == "[FATAL tini (7)] Not a valid option for -e: x\n")
        #expect(tini(["-p", "SIGPWR", "y"]).text?.hasPrefix("[FATAL tini (7)]") == true)
    }

    @Test("tini: the names of signals")
    func tiniSignals() {
        let names = [
            "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV",
            "USR2",
            "PIPE", "ALRM", "TERM", nil, "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
            "XCPU",
            "XFSZ", "VTALRM", "PROF", "WINCH", nil, nil, "SYS",
        ]
        for (index, name) in names.enumerated() {
            guard let name else { continue }
            let plan = tini(["-p", ByteString("SIG" + name as String), "x"]).plan
            #expect(plan?.parentDeathSignal == Signal(Int32(index + 1)), "\(name)")
        }
        for name in [
            "", "SIG", "TERM", "SIGterm", "15", "SIGSTKFLT", "SIGIO", "SIGRTMIN", "SIGTERMS",
        ] {
            #expect(tini(["-p", ByteString(name), "x"]).code == 1, "\(name)")
        }
    }

    @Test("dumb-init: defaults, options, environment")
    func dumbInitOptions() throws {
        let bare = try #require(dumbInit(["x", "-c"]).plan)
        #expect(bare.command == ["x", "-c"] && bare.reachesGroup && bare.startsSession)
        #expect(bare.verbosity == 0)
        let single = try #require(dumbInit(["-cv", "x"]).plan)
        #expect(!single.reachesGroup && !single.startsSession && single.verbosity == 1)
        #expect(dumbInit(["x"], ["DUMB_INIT_SETSID=0"]).plan?.startsSession == false)
        #expect(dumbInit(["x"], ["DUMB_INIT_SETSID=1"]).plan?.startsSession == true)
        #expect(dumbInit(["x"], ["DUMB_INIT_DEBUG=1"]).plan?.verbosity == 2)
        #expect(dumbInit(["x"], ["DUMB_INIT_DEBUG=2"]).plan?.verbosity == 0)
    }

    @Test("dumb-init: the signals of a terminal become STOP in a session")
    func dumbInitRewrites() throws {
        for number in Int32(1)...31 {
            let signal = Signal(number)
            let isTerminals = [20, 21, 22].contains(number)
            #expect(
                try #require(dumbInit(["x"]).plan).translated(signal)
                    == (isTerminals ? .stop : signal))
            #expect(try #require(dumbInit(["-c", "x"]).plan).translated(signal) == signal)
        }
        let plan = try #require(dumbInit(["-r", "15:3", "--rewrite=1:0", "-r20:10", "x"]).plan)
        #expect(plan.translated(.terminate) == .quit && plan.translated(.hangup) == nil)
        #expect(
            plan.translated(.terminalStop) == .user1 && plan.translated(.terminalInput) == .stop)
        #expect(plan.translated(Signal(40)) == Signal(40))
    }

    @Test("dumb-init: what it prints is for standard error")
    func dumbInitTexts() {
        for (words, code) in [
            (["-h"], 0), (["-V"], 0), (["--vers"], 0), ([], 1), (["-z"], 1),
            (["-r", "32:1", "x"], 1),
            (["-r", "0:1", "x"], 1), (["-r", "1:32", "x"], 1), (["-r", "1", "x"], 1),
        ] as [([ByteString], Int32)] {
            #expect(dumbInit(words).descriptor == 2 && dumbInit(words).code == code)
        }
        #expect(dumbInit(["-V"]).text == "dumb-init v1.2.5 (apus 1.2.3)\n")
    }

    @Test("catatonit: options and environment")
    func catatonitOptions() throws {
        let bare = try #require(catatonit(["x"]).plan)
        #expect(
            bare.command == ["x"] && bare.isSubreaper && !bare.reachesGroup && bare.verbosity == 0)
        #expect(catatonit(["-g", "--", "x", "-P"]).plan?.command == ["x", "-P"])
        #expect(catatonit(["-g", "x"]).plan?.reachesGroup == true)
        #expect(catatonit(["x", "-P"]).plan?.command == [])
        #expect(catatonit(["x"], ["CATATONIT_DEBUG="]).plan?.verbosity == 1)
        #expect(
            catatonit(["-V"])
                == .say("tini version 0.1.7_catatonit - apus 1.2.3\n", to: 1, exitCode: 0))
        #expect(catatonit(["-L"]).descriptor == 1 && catatonit(["-L"]).code == 0)
        #expect(catatonit(["-h"]).descriptor == 2 && catatonit(["-h"]).code == 0)
        #expect(catatonit([]).code == 1 && catatonit(["-z"]).code == 1)
        #expect(catatonit(["x"], ["CATATONIT_LOG="]).code == 1)
    }
}

@Suite("Signals to the small inits")
struct SmallInitSignalsTests {
    /// Each of the 64 as in their manual pages; nil for those that are not taken.
    private func expected(_ kind: SmallInit, _ number: Int32) -> SmallInitSignals.Response? {
        switch (kind, number) {
        case (_, 32), (_, 33): nil
        case (.tini, 4), (.tini, 5), (.tini, 6), (.tini, 7), (.tini, 8), (.tini, 11), (.tini, 31):
            nil
        case (.tini, 21), (.tini, 22): nil
        case (.catatonit, 4), (.catatonit, 5), (.catatonit, 6), (.catatonit, 7), (.catatonit, 8),
            (.catatonit, 11), (.catatonit, 31):
            nil
        case (.catatonit, 20...22): .ignore
        case (.dumbInit, 20...22): .pass(.stop)
        case (_, 17): .reap
        default: .pass(Signal(number))
        }
    }

    @Test("Each of the 64 has its meaning")
    func table() throws {
        let plans = try [tini(["x"]), dumbInit(["x"]), catatonit(["x"])].map {
            try #require($0.plan)
        }
        for plan in plans {
            for number in Int32(1)...64 {
                let signal = Signal(number)
                var signals = SmallInitSignals(plan)
                let response = plan.kind.taken.contains(signal) ? signals.response(to: signal) : nil
                #expect(response == expected(plan.kind, number), "\(plan.kind) \(number)")
                let stops = plan.kind == .dumbInit && (20...22).contains(number)
                #expect(signals.stopsItself(after: signal) == stops)
            }
        }
    }

    @Test("A pause ends by TERM and INT, and by nothing else")
    func pause() throws {
        var signals = SmallInitSignals(try #require(catatonit(["-P"]).plan))
        for number in Int32(1)...64 where number != 17 {
            let ends = number == 2 || number == 15
            #expect(signals.response(to: Signal(number)) == (ends ? .end : .ignore))
        }
        #expect(signals.response(to: .child) == .reap)
    }

    @Test("One HUP and one CONT come of giving up the terminal")
    func handOff() throws {
        var signals = SmallInitSignals(try #require(dumbInit(["x"]).plan))
        signals.expectHandOff()
        #expect(signals.response(to: .terminate) == .pass(.terminate))
        #expect(signals.response(to: .hangup) == .handOff)
        #expect(signals.response(to: .hangup) == .pass(.hangup))
        #expect(signals.response(to: .continue) == .handOff)
        #expect(signals.response(to: .continue) == .pass(.continue))
    }

    @Test("Nothing is passed on for a signal that is rewritten to 0")
    func drop() throws {
        var signals = SmallInitSignals(try #require(dumbInit(["-r", "15:0", "x"]).plan))
        #expect(signals.response(to: .terminate) == .drop)
    }
}

@Suite("The ends and the words of the small inits")
struct SmallInitNoticesTests {
    private func text(_ plan: SmallInitPlan, _ notice: SmallInitNotice) -> ByteString? {
        plan.line(notice, pid: 7)?.text
    }

    @Test("The exit code is the command's, or 128 and the signal, and tini's -e makes it 0")
    func exitCodes() throws {
        let plan = try #require(tini(["-e", "143", "-e", "3", "x"]).plan)
        #expect(plan.exitCode(ExitStatus(raw: 3 << 8)) == 0)
        #expect(plan.exitCode(ExitStatus(raw: 4 << 8)) == 4)
        #expect(plan.exitCode(ExitStatus(raw: 15)) == 0)
        #expect(plan.exitCode(ExitStatus(raw: 9 | 0x80)) == 137)
    }

    @Test("A program that cannot be run")
    func execFailures() {
        #expect(SmallInit.tini.exitCode(ofExec: .noEntry) == 127)
        #expect(SmallInit.tini.exitCode(ofExec: .accessDenied) == 126)
        #expect(SmallInit.tini.exitCode(ofExec: .linkLoop) == 1)
        #expect(SmallInit.dumbInit.exitCode(ofExec: .noEntry) == 2)
        #expect(SmallInit.catatonit.exitCode(ofExec: .noEntry) == 1)
    }

    @Test(
        "tini says as much as its level has it, warnings on standard error and the rest on standard output"
    )
    func tiniLevels() throws {
        let notices: [(SmallInitNotice, Int, Int32)] = [
            (.cannotAdopt, 1, 2), (.started(9), 2, 1), (.commandEnded(ExitStatus(raw: 0)), 2, 1),
            (.received(.child), 3, 1), (.response(.pass(.terminate), to: .terminate), 3, 1),
            (.reaped(9, ExitStatus(raw: 0)), 3, 1), (.noneLeft, 4, 1), (.noneYet, 4, 1),
            (.ends, 4, 1),
            (.subreaper, 4, 1), (.cannotFork(.again), 0, 2),
        ]
        for (notice, level, descriptor) in notices {
            for verbosity in 0...5 {
                var plan = try #require(tini(["x"]).plan)
                plan.verbosity = verbosity
                let line = plan.line(notice, pid: 7)
                #expect(line?.descriptor == (verbosity >= level ? descriptor : nil), "\(notice)")
            }
        }
        let plan = try #require(tini(["-vv", "x\n"]).plan)
        #expect(
            text(plan, .started(9)) == "[INFO  tini (7)] Spawned child process 'x\\n' with pid '9'")
        #expect(
            text(plan, .response(.pass(Signal(40)), to: Signal(40)))
                == "[DEBUG tini (7)] Passing signal: 'Real-time signal 6'")
        #expect(text(plan, .orphanReaped(9, ExitStatus(raw: 0))) == nil)
        let warns = try #require(tini(["-w", "x"]).plan)
        #expect(
            text(warns, .orphanReaped(9, ExitStatus(raw: 0)))
                == "[WARN  tini (7)] Reaped zombie process with pid=9")
    }

    @Test("dumb-init and catatonit say nothing unless they are to")
    func quiet() throws {
        for plan in [dumbInit(["x"]).plan, catatonit(["x"]).plan] {
            let plan = try #require(plan)
            for notice in [
                .received(.terminate), .passed(.terminate), .started(3), .noneLeft, .stopsItself,
                .reaped(3, ExitStatus(raw: 0)), .orphanReaped(3, ExitStatus(raw: 0)),
            ] as [SmallInitNotice] {
                #expect(plan.line(notice, pid: 7) == nil)
            }
            #expect(plan.line(.cannotFork(.again), pid: 7)?.descriptor == 2)
        }
    }
}
