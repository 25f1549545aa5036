import Bytes
import Linux

extension SmallInit {
    /// What catatonit(1) is asked to do by its command line and environment. `pid` is its process id, for messages;
    /// `release` the version of this binary.
    public static func catatonit(
        _ arguments: [ByteString], _ environment: Environment, pid: ProcessID, release: StaticString
    ) -> SmallInitRequest {
        let usage: ByteString =
            "usage: catatonit [-ghLPV] [--] <progname> [<arguments>...]\n"
        var plan = SmallInitPlan(.catatonit)
        plan.verbosity = environment["CATATONIT_DEBUG"] == nil ? 0 : 1
        if environment["CATATONIT_LOG"] != nil {
            return .say(
                "ERROR (catatonit:\(pid)): CATATONIT_LOG is reserved for future use\n",
                to: Standard.error, exitCode: 1)
        }
        plan.isSubreaper = true
        var isPause = false
        var options = GNUOptions(
            arguments, letters: "ghLPV", [.init(name: "version", letter: UInt8(ascii: "V"))],
            permutes: environment["POSIXLY_CORRECT"] == nil)
        while let found = options.next() {
            switch found {
            case .wrong(let line): return .say("\(line)\n\(usage)", to: Standard.error, exitCode: 1)
            case .option(UInt8(ascii: "g"), _): plan.reachesGroup = true
            case .option(UInt8(ascii: "P"), _): isPause = true
            case .option(UInt8(ascii: "L"), _):
                return .say(license, to: Standard.output, exitCode: 0)
            case .option(UInt8(ascii: "V"), _):
                // Docker's engine, which asks, knows tini only.
                return .say(
                    "tini version 0.1.7_catatonit - apus \(release)\n", to: Standard.output,
                    exitCode: 0)
            case .option: return .say("\(usage)\(catatonitHelp)", to: Standard.error, exitCode: 0)
            }
        }
        if isPause { return .run(plan) }
        plan.command = options.operands
        if plan.command.isEmpty {
            return .say(
                "ERROR (catatonit:\(pid)): missing program name\n\(usage)", to: Standard.error,
                exitCode: 1)
        }
        return .run(plan)
    }

    private static let catatonitHelp: ByteString = """

        Runs a program, passes signals on to it, reaps orphans, and ends with its status.

          -g             Send signals to the program's process group.
          -P             Run no program: reap until TERM or INT.
          -h             Print this.
          -L             Print the license.
          -V, --version  Print the version.

        """
}
