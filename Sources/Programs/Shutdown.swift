import Bytes
import Commands
import Formats
import Init

/// shutdown(8): ends the machine now or later, and tells people.
func shutdown(_ call: Call) throws(Failure) -> Outcome {
    let usage: ByteString =
        "shutdown [ -h | -P | -H | -r ] [ -k ] time [ message ... ] | -c [ message ... ]"
    var request = PowerRequest.powerOff
    var (isCancelled, onlyWarns) = (false, false)
    var reader = OptionReader(call.arguments, ShutdownOption.names, call.messages)
    while let option = reader.next() {
        switch option {
        case .option(.powerOff, _): request = .powerOff
        case .option(.halt, _): request = .halt
        case .option(.reboot, _): request = .reboot
        case .option(.cancel, _): isCancelled = true
        case .option(.warn, _): onlyWarns = true
        case .option(.ignored, _): break
        case .wrong: throw Failure(usage: usage)
        }
    }
    var words = call.arguments[reader.operands...]
    if isCancelled {
        try ShutdownSchedule.cancel(message: ByteString(Array(words), joinedBy: " "))
        return .exit(0)
    }
    guard let word = words.popFirst(), let time = ShutdownTime(word) else {
        throw Failure(usage: usage)
    }
    try ShutdownSchedule(
        request, message: ByteString(Array(words), joinedBy: " "), onlyWarns: onlyWarns,
        call.messages
    ).perform(time)
    return .exit(0)
}

/// reboot(8).
func reboot(_ call: Call) throws(Failure) -> Outcome { try end(call, .reboot) }

/// poweroff(8).
func poweroff(_ call: Call) throws(Failure) -> Outcome { try end(call, .powerOff) }

/// halt(8).
func halt(_ call: Call) throws(Failure) -> Outcome { try end(call, .halt) }

private func end(_ call: Call, _ named: PowerRequest) throws(Failure) -> Outcome {
    var request = named
    var (isForced, synchronizes, onlyNotes) = (false, true, false)
    var reader = OptionReader(call.arguments, EndOption.names, call.messages)
    while let option = reader.next() {
        switch option {
        case .option(.force, _): isForced = true
        case .option(.noSync, _): synchronizes = false
        case .option(.powerOff, _): request = .powerOff
        case .option(.reboot, _): request = .reboot
        case .option(.halt, _): request = .halt
        case .option(.note, _): onlyNotes = true
        case .option(.ignored, _): break
        case .wrong: throw Failure(usage: "\(call.messages.program) [ -f ] [ -n ] [ -p ] [ -w ]")
        }
    }
    if onlyNotes {
        PowerRequest.note(call.messages)
    } else if isForced {
        try request.force(synchronizing: synchronizes)
    } else {
        try request.send()
    }
    return .exit(0)
}

/// telinit(8): the runlevels that a machine has here.
func telinit(_ call: Call) throws(Failure) -> Outcome {
    let usage: ByteString = "telinit 0 | 6 | q"
    guard call.arguments.count == 2 else { throw Failure(usage: usage) }
    switch call.arguments[1] {
    case "0": try PowerRequest.powerOff.send()
    case "6": try PowerRequest.reboot.send()
    case "q", "Q": try PowerRequest.rescan.send()
    default: throw Failure(usage: usage)
    }
    return .exit(0)
}

private enum ShutdownOption {
    /// Off, which is what it does without an option too.
    case powerOff
    /// Still, with the power on.
    case halt
    /// Up again.
    case reboot
    /// Take back what is scheduled.
    case cancel
    /// Only say so.
    case warn
    /// What other programs of this name take, and what makes no difference here.
    case ignored

    static var names: [OptionName<ShutdownOption>] {
        [
            OptionName("h", .powerOff), OptionName("P", .powerOff),
            OptionName(word: "poweroff", .powerOff),
            OptionName("H", .halt), OptionName(word: "halt", .halt), OptionName("r", .reboot),
            OptionName(word: "reboot", .reboot), OptionName("c", .cancel), OptionName("k", .warn),
            OptionName("a", .ignored), OptionName("f", .ignored), OptionName("F", .ignored),
            OptionName("n", .ignored), OptionName("t", .ignored, takesValue: true),
            OptionName(word: "no-wall", .ignored),
        ]
    }
}

private enum EndOption {
    /// Without process 1.
    case force
    /// And without writing to disk what is in memory.
    case noSync
    /// Something else than the program's name says.
    case powerOff, reboot, halt
    /// Only into the history.
    case note
    /// What other programs of this name take, and what makes no difference here.
    case ignored

    static var names: [OptionName<EndOption>] {
        [
            OptionName("f", .force), OptionName(word: "force", .force), OptionName("n", .noSync),
            OptionName(word: "no-sync", .noSync), OptionName("p", .powerOff),
            OptionName(word: "poweroff", .powerOff), OptionName(word: "reboot", .reboot),
            OptionName(word: "halt", .halt), OptionName("w", .note),
            OptionName(word: "wtmp-only", .note),
            OptionName("d", .ignored), OptionName("i", .ignored), OptionName("h", .ignored),
            OptionName(word: "no-wtmp", .ignored), OptionName(word: "no-wall", .ignored),
        ]
    }
}
