import Bytes
import Linux

extension SmallInit {
    /// What dumb-init(1) is asked to do by its command line and environment. `release` is the version of this binary.
    public static func dumbInit(
        _ arguments: [ByteString], _ environment: Environment, release: StaticString
    ) -> SmallInitRequest {
        let name = arguments.first ?? "dumb-init"
        var plan = SmallInitPlan(.dumbInit)
        plan.reachesGroup = true
        var options = GNUOptions(
            arguments, letters: "hvVcr:",
            [
                .init(name: "help", letter: UInt8(ascii: "h")),
                .init(name: "single-child", letter: UInt8(ascii: "c")),
                .init(name: "rewrite", letter: UInt8(ascii: "r"), takesValue: true),
                .init(name: "verbose", letter: UInt8(ascii: "v")),
                .init(name: "version", letter: UInt8(ascii: "V")),
            ], permutes: false)
        while let found = options.next() {
            switch found {
            case .wrong(let line): return .say("\(line)\n", to: Standard.error, exitCode: 1)
            case .option(UInt8(ascii: "h"), _):
                return .say(dumbInitHelp(name), to: Standard.error, exitCode: 0)
            case .option(UInt8(ascii: "V"), _):
                return .say(
                    "dumb-init v1.2.5 (apus \(release))\n", to: Standard.error, exitCode: 0)
            case .option(UInt8(ascii: "v"), _): plan.verbosity = 1
            case .option(UInt8(ascii: "c"), _): plan.reachesGroup = false
            case .option(_, let value):
                if !plan.takeRewrite(value) {
                    return .say(wrongRewrite, to: Standard.error, exitCode: 1)
                }
            }
        }
        plan.command = options.operands
        if plan.command.isEmpty {
            let usage: ByteString =
                "Usage: \(name) [option] program [args]\nTry \(name) --help for full usage.\n"
            return .say(usage, to: Standard.error, exitCode: 1)
        }
        if environment["DUMB_INIT_DEBUG"] == "1" { plan.verbosity = 2 }
        if environment["DUMB_INIT_SETSID"] == "0" {
            plan.reachesGroup = false
            plan.isToldToStay = true
        }
        plan.startsSession = plan.reachesGroup
        if plan.startsSession { plan.stopForTerminal() }
        return .run(plan)
    }

    private static let wrongRewrite: ByteString = """
        Usage: -r option takes <signum>:<signum>, where <signum> is between 1 and 31.
        This option can be specified multiple times.
        Use --help for full usage.

        """

    private static func dumbInitHelp(_ name: ByteString) -> ByteString {
        """
        dumb-init v1.2.5
        Usage: \(name) [option] command [[arg] ...]

        Runs a command in a session of its own, passes signals on to it, reaps orphans, and ends with its status.

           -c, --single-child   Pass signals to the command alone, in the session that there is.
           -r, --rewrite s:r    Pass on signal r in place of signal s, or nothing if r is 0; may be repeated.
           -v, --verbose        Tell on standard error what is done.
           -h, --help           Print this.
           -V, --version        Print the version.

        Environment: DUMB_INIT_SETSID=0 is -c, DUMB_INIT_DEBUG=1 is -v.

        """
    }
}

extension SmallInitPlan {
    /// Whether `text` is two numbers of signals with a colon between.
    fileprivate mutating func takeRewrite(_ text: ByteString) -> Bool {
        let (signal, rest) = scanNumber(text.bytes)
        guard let signal, rest.first == UInt8(ascii: ":"),
            let replacement = scanNumber(rest.dropFirst()).value,
            (1...31).contains(signal), (0...31).contains(replacement)
        else { return false }
        rewrites[signal] = Int32(replacement)
        return true
    }

    /// The command's group is an orphaned one, which the kernel does not stop for these signals: it gets STOP in their
    /// place. setpgid(2).
    fileprivate mutating func stopForTerminal() {
        for signal in [Signal.terminalStop, .terminalInput, .terminalOutput]
        where !isRewritten(signal) { rewrites[Int(signal.number)] = Signal.stop.number }
    }
}
