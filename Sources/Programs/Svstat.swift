import Bytes
import Commands
import Formats
import Linux
import ServiceFiles
import Services

/// svstat(8): prints the state of services.
func svstat(_ call: Call) throws(Failure) -> Outcome {
    let start: Descriptor
    do throws(SystemError) { start = try openFile(".", .read) } catch {
        throw error.explained("unable to open current directory")
    }
    let states = StatePlaces(ofClientWith: call.environment)
    var choice = Choice.both
    var operands = call.arguments.dropFirst()
    // The original has no options, and takes every other word for a directory.
    while let chosen = operands.first.flatMap({ Choice($0) }) {
        choice = chosen
        operands = operands.dropFirst()
    }
    var text: [UInt8] = []
    for directory in operands {
        let words = describe(directory, states)
        if choice != .logger {
            let line: ByteString = "\(directory.visible): \(words)\n"
            text += line.bytes
        }
        if choice != .service, let words = describeLogger(states, isAsked: choice == .logger) {
            let line: ByteString = "\(directory.visible) log: \(words)\n"
            text += line.bytes
        }
        do throws(SystemError) { try changeDirectory(to: start) } catch {
            throw error.explained("unable to set directory")
        }
    }
    try writeOutput(text)
    return .exit(0)
}

/// What is told of: a service, its logger, or both where the logger is a file.
private enum Choice {
    case both, service, logger

    /// daemontools-encore's options.
    init?(_ word: ByteString) {
        switch word {
        case "-l": self = .service
        case "-L": self = .logger
        default: return nil
        }
    }
}

private func describe(_ directory: ByteString, _ states: StatePlaces) -> ByteString {
    var step: StaticString = "chdir"
    do throws(SystemError) {
        try changeDirectory(directory)
        step = "stat down"
        let isNormallyUp = try !exists("down")
        step = "open supervise/ok"
        let supervise = try SuperviseDirectory(of: .current, or: states)
        if try !supervise.isSupervised() { return "supervise not running" }
        step = "open supervise/status"
        let file = try supervise.openStatus()
        step = "read supervise/status"
        guard let status = try StatusRecord(readFrom: file) else {
            return "unable to read supervise/status: bad format"
        }
        return describe(status, isNormallyUp: isNormallyUp, isOfEncore: isOfEncore)
    } catch {
        return "unable to \(step): \(error.errno.text)"
    }
}

/// The same of the logger of the current directory, which is a file of it unless it `isAsked` for; nil where there is
/// none, or nothing to tell of it.
private func describeLogger(_ states: StatePlaces, isAsked: Bool) -> ByteString? {
    let none: ByteString? = isAsked ? "no log service" : nil
    do throws(SystemError) {
        let log = try status(of: "log")
        if isAsked && log.isDirectory { return describe("log", states) }
        guard log.isProgram else { return none }
        let supervise = try SuperviseDirectory(of: .current, or: states).openLogger()
        guard try supervise.isSupervised() else { return isAsked ? "supervise not running" : nil }
        let file = try supervise.openStatus()
        guard let status = try StatusRecord(readFrom: file) else { return none }
        return describe(status, isNormallyUp: try !exists("down"), isOfEncore: true)
    } catch { return none }
}

/// Whether the current directory has what only daemontools-encore knows.
private var isOfEncore: Bool {
    (["start", "stop", "notify", "log"] as [ByteString]).contains {
        do throws(SystemError) { return try status(of: $0).isProgram } catch { return false }
    }
}

/// The words of the original, in its order, and after them those of daemontools-encore.
private func describe(_ status: StatusRecord, isNormallyUp: Bool, isOfEncore: Bool) -> ByteString {
    let seconds = age(of: status)
    var line: ByteString
    if status.pid == 0 {
        line = "down \(seconds) seconds"
        if isNormallyUp { line.append(", normally up".utf8) }
        if status.want == StatusRecord.wantsUp { line.append(", want up".utf8) }
    } else {
        line = "up (pid \(status.pid)) \(seconds) seconds"
        if !isNormallyUp { line.append(", normally down".utf8) }
        if status.isPaused { line.append(", paused".utf8) }
        if status.want == StatusRecord.wantsDown { line.append(", want down".utf8) }
        if isOfEncore && status.want == 0 { line.append(", once".utf8) }
    }
    if isOfEncore { line.append(", \(status.state.wordOfEncore)" as ByteString) }
    return line
}

extension StatusDetails.State {
    /// daemontools-encore's word for it.
    fileprivate var wordOfEncore: StaticString {
        switch self {
        case .down: "stopped"
        case .blocked, .waiting, .starting: "starting"
        case .done: "started"
        case .up: "running"
        case .stopping, .finishing: "stopping"
        case .failed: "failed"
        }
    }
}

/// For how many seconds the process id has been what it is.
func age(of status: StatusRecord) -> UInt64 {
    let now = TAI64N(unixSeconds: wallClock().seconds, nanoseconds: 0)
    let past = now.seconds > status.since.seconds ? now.seconds - status.since.seconds : 0
    // By way of floating point like the original, which tells on a stamp that is nonsense.
    return UInt64(Double(past))
}
