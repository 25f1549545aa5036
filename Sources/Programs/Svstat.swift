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
    var text: [UInt8] = []
    for directory in call.arguments.dropFirst() {
        let line: ByteString = "\(directory.visible): \(describe(directory, states))\n"
        text += line.bytes
        if let words = describeLogger(states) {
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
        return describe(status, isNormallyUp: isNormallyUp)
    } catch {
        return "unable to \(step): \(error.errno.text)"
    }
}

/// The same of the logger that is a file of the current directory; nil where there is none, or nothing to tell of it.
private func describeLogger(_ states: StatePlaces) -> ByteString? {
    do throws(SystemError) {
        guard try status(of: "log").isProgram else { return nil }
        let supervise = try SuperviseDirectory(of: .current, or: states).openLogger()
        guard try supervise.isSupervised() else { return nil }
        let file = try supervise.openStatus()
        guard let status = try StatusRecord(readFrom: file) else { return nil }
        return describe(status, isNormallyUp: try !exists("down"))
    } catch { return nil }
}

/// The words of the original, in its order.
private func describe(_ status: StatusRecord, isNormallyUp: Bool) -> ByteString {
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
    }
    return line
}

/// For how many seconds the process id has been what it is.
func age(of status: StatusRecord) -> UInt64 {
    let now = TAI64N(unixSeconds: wallClock().seconds, nanoseconds: 0)
    let past = now.seconds > status.since.seconds ? now.seconds - status.since.seconds : 0
    // By way of floating point like the original, which tells on a stamp that is nonsense.
    return UInt64(Double(past))
}
