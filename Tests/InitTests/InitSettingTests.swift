import Bytes
import Linux
import Testing

@testable import Init

@Suite("What init can be told by variables")
struct InitSettingTests {
    private func read(_ entries: ByteString...) -> (Init.Options, [InitSetting]) {
        var options = Init.Options()
        let wrong = options.read(Environment(entries))
        return (options, wrong.map { $0.0 })
    }

    @Test("Each has a variable and two options of its own")
    func names() {
        let all = InitSetting.allCases
        #expect(Set(all.map { $0.variable }).count == all.count)
        #expect(Set(all.map { $0.word }).count == all.count)
        #expect(Set(all.map { $0.letter }).count == all.count)
        for setting in all { #expect(setting.variable.hasPrefix("INIT_")) }
    }

    @Test("Without any, all is as it is documented")
    func nothing() {
        let (options, wrong) = read("PATH=/bin", "INIT_CWD=/x")
        #expect(wrong == [])
        #expect(options.services == "/service" && !options.servicesAreExplicit)
        #expect(options.stopLimit == 9000)
        #expect(!options.commandWaits && options.commandPatience == nil)
        #expect(options.rewrites == SignalRewrites())
        #expect(options.verbosity == 1)
    }

    @Test("All of them")
    func all() {
        let (options, wrong) = read(
            "INIT_SERVICES=/etc/service", "INIT_STOP_TIMEOUT=29", "INIT_WAIT=30",
            "INIT_REWRITE=15:3 HUP:0", "INIT_VERBOSITY=2")
        #expect(wrong == [])
        #expect(options.services == "/etc/service" && options.servicesAreExplicit)
        #expect(options.stopLimit == 29000)
        #expect(options.commandWaits && options.commandPatience == 30000)
        #expect(options.rewrites.target(of: .terminate) == 3)
        #expect(options.rewrites.target(of: .hangup) == 0)
        #expect(options.verbosity == 2)
    }

    @Test("Waiting is for ever, for a time, or not at all")
    func wait() {
        for (value, waits, patience) in [
            ("yes", true, nil), ("no", false, nil), ("0", false, 0), ("1", true, 1000),
            ("86400", true, 86_400_000),
        ] as [(ByteString, Bool, UInt64?)] {
            let (options, wrong) = read("INIT_WAIT=\(value)")
            #expect(wrong == [] && options.commandWaits == waits, "\(value)")
            if waits { #expect(options.commandPatience == patience, "\(value)") }
        }
    }

    @Test("What means nothing has no effect, and is told unless it is empty")
    func wrong() {
        for (entry, setting) in [
            ("INIT_STOP_TIMEOUT=", .stopTimeout), ("INIT_STOP_TIMEOUT=x", .stopTimeout),
            ("INIT_STOP_TIMEOUT=86401", .stopTimeout), ("INIT_WAIT=maybe", .wait),
            ("INIT_WAIT=-1", .wait), ("INIT_REWRITE=15", .rewrite),
            ("INIT_REWRITE=15:3 9:1", .rewrite), ("INIT_REWRITE= ", .rewrite),
            ("INIT_VERBOSITY=3", .verbosity), ("INIT_VERBOSITY=loud", .verbosity),
        ] as [(ByteString, InitSetting)] {
            let (options, wrong) = read(entry)
            #expect(wrong == [setting], "\(entry)")
            #expect(options.stopLimit == 9000 && !options.commandWaits && options.verbosity == 1)
            #expect(options.rewrites == SignalRewrites(), "\(entry)")
        }
        for name in ["SERVICES", "WAIT", "REWRITE", "VERBOSITY"] as [ByteString] {
            let (options, wrong) = read("INIT_\(name)=")
            #expect(wrong == [] && !options.servicesAreExplicit && !options.commandWaits)
        }
    }
}
