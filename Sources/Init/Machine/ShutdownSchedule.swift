import Bytes
import Commands
import Formats
import Linux

/// A request for later: people are told in time, nobody logs in any more in the last minutes, and it can be taken back.
public struct ShutdownSchedule {
    private static let pidFile: ByteString = "/run/shutdown.pid"
    private static let noLogin: ByteString = "/run/nologin"
    /// Seconds before the end from which on nobody can log in.
    private static let closing = 300

    private let request: PowerRequest
    private let message: ByteString
    private let onlyWarns: Bool
    private let messages: Messages

    /// A request with a message for everybody. With `onlyWarns` nothing happens but the warnings.
    public init(_ request: PowerRequest, message: ByteString, onlyWarns: Bool, _ messages: Messages)
    {
        self.request = request
        self.message = message
        self.onlyWarns = onlyWarns
        self.messages = messages
    }

    /// Now, or in the background at that time; a request that waits is replaced.
    public func perform(_ time: ShutdownTime) throws(Failure) {
        guard CurrentProcess.effectiveUser == 0 else {
            throw Failure("only root can stop the machine")
        }
        let (now, _) = wallClock()
        let local = LocalTime(unixSeconds: now)
        let seconds = time.seconds(
            fromHour: local?.hour ?? 0, minute: local?.minute ?? 0, second: local?.second ?? 0)
        _ = ShutdownSchedule.end()
        if seconds == 0 {
            warn(0)
            if !onlyWarns { try request.send() }
            return
        }
        do throws(SystemError) {
            try CurrentProcess.setName("shutdown")
            if case .parent(let pid) = try forkProcess() {
                // Before anybody can want to take it back.
                note(pid)
                messages.information(
                    "\(request.description) in \(ShutdownSchedule.text(seconds)); shutdown -c takes it back"
                )
                return
            }
            try CurrentProcess.startSession()
        } catch { throw error.explained("unable to wait in the background") }
        wait(seconds)
    }

    /// Takes back what waits. Throws when nothing does.
    public static func cancel(message: ByteString) throws(Failure) {
        guard end() else { throw Failure("nothing is scheduled") }
        Broadcast.send(message.isEmpty ? "The shutdown has been cancelled." : message, from: "root")
    }

    /// Ends the process that waits; whether there was one.
    private static func end() -> Bool {
        do throws(SystemError) {
            let pid = ProcessID(
                truncatingIfNeeded: scanDecimal(try contents(of: pidFile, limit: 32)).value)
            try removeFile(pidFile)
            do throws(SystemError) { try removeFile(noLogin) } catch {}
            // Nobody else's process that has its number by now.
            guard pid > 1, ProcessTable.name(of: pid) == "shutdown" else { return false }
            try send(.terminate, to: pid)
            return true
        } catch { return false }
    }

    private func wait(_ seconds: Int) -> Never {
        let end = Instant.now.advanced(milliseconds: UInt64(seconds) * 1000)
        // Whoever asked goes on, also when it waits for the end of our output.
        do throws(SystemError) { try leaveOutput() } catch {}
        var warnings = ShutdownTime.warnings(before: seconds)
        while let left = warnings.first {
            warnings.removeFirst()
            pause(until: end, less: left)
            warn(left)
            if left <= ShutdownSchedule.closing { closeLogins() }
        }
        pause(until: end, less: 0)
        warn(0)
        do throws(SystemError) { try removeFile(ShutdownSchedule.pidFile) } catch {}
        if onlyWarns {
            do throws(SystemError) { try removeFile(ShutdownSchedule.noLogin) } catch {}
            exitNow(0)
        }
        do throws(Failure) { try request.send() } catch { exitNow(111) }
        exitNow(0)
    }

    private func note(_ pid: ProcessID) {
        do throws(SystemError) {
            let file = try openFile(ShutdownSchedule.pidFile, .truncate)
            try writeAll(file.number, Array(("\(pid)\n" as ByteString).bytes))
        } catch { messages.warning("shutdown -c cannot take it back", error.errno) }
    }

    private func leaveOutput() throws(SystemError) {
        let null = try openFile("/dev/null", .readWrite)
        for descriptor in Standard.input...Standard.error {
            try redirect(descriptor, to: null.number)
        }
    }

    private func pause(until end: Instant, less seconds: Int) {
        let nanoseconds = UInt64(seconds) * 1_000_000_000
        Linux.pause(
            until: Instant(nanoseconds: end.nanoseconds - min(end.nanoseconds, nanoseconds)))
    }

    private func closeLogins() {
        do throws(SystemError) {
            let file = try openFile(ShutdownSchedule.noLogin, .truncate)
            try writeAll(file.number, Array(("\(text(0))\n" as ByteString).bytes))
        } catch {}
    }

    private func warn(_ seconds: Int) { Broadcast.send(text(seconds), from: "root") }

    private func text(_ seconds: Int) -> ByteString {
        let when: ByteString = seconds == 0 ? "now" : "in \(ShutdownSchedule.text(seconds))"
        let what: ByteString = "The system is going down for \(request.description) \(when)!"
        return message.isEmpty ? what : "\(message) \(what)"
    }

    private static func text(_ seconds: Int) -> ByteString {
        if seconds < 60 { return "\(seconds) seconds" }
        let minutes = (seconds + 30) / 60
        return minutes == 1 ? "1 minute" : "\(minutes) minutes"
    }
}
