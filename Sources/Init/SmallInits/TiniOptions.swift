import Bytes
import Linux

extension SmallInit {
    /// What tini(1) is asked to do by its command line and environment. `pid` is its process id, for messages;
    /// `release` the version of this binary.
    public static func tini(
        _ arguments: [ByteString], _ environment: Environment, pid: ProcessID, release: StaticString
    ) -> SmallInitRequest {
        let name = (arguments.first ?? "tini").lastComponent
        let version: ByteString = "tini version 0.19.0 - apus \(release)\n"
        if arguments.count == 2, arguments[1] == "--version" {
            return .say(version, to: Standard.output, exitCode: 0)
        }
        let help = tiniHelp(name)
        var plan = SmallInitPlan(.tini)
        plan.verbosity = 1
        var options = GNUOptions(
            arguments, letters: "p:hvwgle:s", permutes: environment["POSIXLY_CORRECT"] == nil)
        while let found = options.next() {
            switch found {
            case .wrong(let line):
                return .say("\(line)\n\(help)", to: Standard.error, exitCode: 1)
            case .option(UInt8(ascii: "h"), _):
                return .say(help, to: Standard.output, exitCode: 0)
            case .option(UInt8(ascii: "l"), _):
                return .say(license, to: Standard.output, exitCode: 0)
            case .option(let letter, let value):
                if !plan.takeTiniOption(letter, value) {
                    let letter = ByteString([letter])
                    return .say(
                        "[FATAL tini (\(pid))] Not a valid option for -\(letter): \(value.visible)\n",
                        to: Standard.error, exitCode: 1)
                }
            }
        }
        plan.command = options.operands
        if plan.command.isEmpty { return .say(help, to: Standard.error, exitCode: 1) }
        plan.readTiniEnvironment(environment)
        return .run(plan)
    }

    /// What `-l` and `-L` print.
    static let license: ByteString =
        "Apus is free software under the Apache License, version 2.0: http://www.apache.org/licenses/LICENSE-2.0\n"

    private static func tiniHelp(_ name: ByteString) -> ByteString {
        """
        \(name) (tini version 0.19.0)
        Usage: \(name) [OPTIONS] PROGRAM -- [ARGS] | --version

        Runs PROGRAM, passes signals on to it, reaps orphans, and ends with its status.

          --version  Print the version.
          -h         Print this.
          -s         Adopt orphans when not process 1.
          -p SIGNAL  Get SIGNAL, such as SIGKILL, when the parent ends.
          -v         Say more; up to three times.
          -w         Tell of each orphan that is reaped.
          -g         Send signals to PROGRAM's process group.
          -e CODE    End with 0 when PROGRAM ends with CODE, 0 to 255; may be repeated.
          -l         Print the license.

        Environment: TINI_SUBREAPER is -s, TINI_KILL_PROCESS_GROUP is -g, TINI_VERBOSITY is how much is said (1).

        """
    }
}

extension SmallInitPlan {
    /// Whether the option's value is right.
    fileprivate mutating func takeTiniOption(_ letter: UInt8, _ value: ByteString) -> Bool {
        switch letter {
        case UInt8(ascii: "s"): isSubreaper = true
        case UInt8(ascii: "v"): verbosity += 1
        case UInt8(ascii: "w"): tellsOfOrphans = true
        case UInt8(ascii: "g"): reachesGroup = true
        case UInt8(ascii: "p"):
            guard let signal = SmallInit.signal(value) else { return false }
            parentDeathSignal = signal
        default:
            // strtol(3) takes nothing for a zero.
            let (number, rest) = scanNumber(value.bytes)
            let code = value.isEmpty ? 0 : number ?? -1
            guard rest.isEmpty, (0...255).contains(code) else { return false }
            codesToZero.append(Int32(code))
        }
        return true
    }

    fileprivate mutating func readTiniEnvironment(_ environment: Environment) {
        if environment["TINI_SUBREAPER"] != nil { isSubreaper = true }
        if environment["TINI_KILL_PROCESS_GROUP"] != nil { reachesGroup = true }
        if let text = environment["TINI_VERBOSITY"] {
            let level = scanNumber(text.bytes).value ?? 0
            // The original's number has no sign.
            verbosity = level < 0 ? Int(Int32.max) : level
        }
    }
}

extension SmallInit {
    /// The signal of a name such as SIGTERM; nil for any other text, and for those that the original has no name for.
    fileprivate static func signal(_ name: ByteString) -> Signal? {
        let names: InlineArray<31, StaticString> = [
            "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV",
            "USR2", "PIPE", "ALRM", "TERM", "", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU",
            "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "", "", "SYS",
        ]
        guard name.hasPrefix("SIG"), name.count > 3 else { return nil }
        return names.indices.first { name.bytes.dropFirst(3).isSpelled(names[$0]) }
            .map { Signal(Int32($0 + 1)) }
    }
}
