import Bytes
import Commands
import Linux

/// A processor at work in the background: it reads `LABEL.u` and writes `LABEL.t`, which becomes `LABEL.s` when it
/// exits 0. One that does not is started again.
final class ProcessorJob {
    /// The label of the file being processed.
    let label: ByteString

    private let command: ByteString
    private let path: ByteString
    /// Its own, since the log directory may be closed and opened again meanwhile.
    private let place: Descriptor
    private let processor: Processor
    private let voice: SvlogdVoice
    private var pid: ProcessID = 0
    /// When to start it again; nil while it runs.
    private(set) var due: Instant?
    private var started = Instant.now

    /// The least time from one start to the next, in milliseconds.
    private static let interval: UInt64 = 1000
    /// For how many milliseconds it may go on when svlogd has been told to end.
    private static let patience: Int32 = 10_000

    /// Starts `command` on the file of `label` in `place`, the log directory called `path`.
    init(
        _ command: ByteString, _ label: ByteString, in place: Directory, _ path: ByteString,
        _ processor: Processor, _ voice: SvlogdVoice
    ) throws(SystemError) {
        self.command = command
        self.label = label
        self.path = path
        self.processor = processor
        self.voice = voice
        self.place = try openFile(".", .directory, in: place)
        start()
    }

    /// Starts it again if it is time to.
    func startIfDue() {
        if let due, due <= .now { start() }
    }

    private func start() {
        started = .now
        due = nil
        voice.tell("processing: \(path)/\(label).u")
        do throws(SystemError) {
            let files = try ProcessorFiles(
                reading: "\(label).u", writing: "\(label).t", in: Directory(place))
            do throws(SpawnError) {
                pid = try processor.start(command, files, in: Directory(place))
            } catch { throw error.cause }
        } catch {
            voice.messages.warning("unable to run processor: \(path)", error.errno)
            due = started.advanced(milliseconds: ProcessorJob.interval)
        }
    }

    /// Takes note of its end, if it has ended. Returns whether the file is processed.
    func isDone(_ retry: Retry) throws(Retry.GivenUp) -> Bool {
        if due != nil { return false }
        let result = try retry.untilDone("error waiting for processor: \(path)") {
            () throws(SystemError) in try reap(pid)
        }
        switch result {
        case .ended(_, let status):
            if status.exitCode == 0 {
                try finish(retry)
                return true
            }
            voice.messages.warning("processor failed, restart: \(path)")
            due = started.advanced(milliseconds: ProcessorJob.interval)
            return false
        case .noChildren:
            due = started
            return false
        case .nothingYet, .resumed: return false
        }
    }

    /// Waits until the file is processed; once svlogd has been told to end, only for some seconds more.
    func waitUntilDone(_ retry: Retry) throws(Retry.GivenUp) {
        while try !isDone(retry) {
            if let due {
                Linux.pause(until: due)
                start()
                continue
            }
            do throws(SystemError) {
                let process = try openProcess(pid)
                if retry.wait(for: process, butAtLast: ProcessorJob.patience) { continue }
            } catch {
                // It has ended, or there is no such call, and no way but to ask again and again.
                Linux.pause(until: .now.advanced(milliseconds: 100))
                continue
            }
            voice.messages.warning("processor takes too long: \(path), giving up")
            do throws(SystemError) { try send(.terminate, to: pid) } catch {}
            throw Retry.GivenUp()
        }
    }

    /// Gives the result its name, then removes what it was made of: whatever comes between, one of them is whole.
    private func finish(_ retry: Retry) throws(Retry.GivenUp) {
        let directory = Directory(place)
        try retry.untilDone("unable to set mode of processed: \(path)") { () throws(SystemError) in
            let file = try openRegularFile("\(label).t", .read, in: directory)
            try synchronize(file)
            try setPermissions(file, LogDirectory.safeMode)
        }
        try retry.untilDone("unable to rename processed: \(path)") { () throws(SystemError) in
            try rename("\(label).t", to: "\(label).s", in: directory)
        }
        do throws(SystemError) { try removeFile("\(label).u", in: directory) } catch {
            voice.messages.warning("unable to unlink: \(path)/\(label).u", error.errno)
        }
        try retry.untilDone("unable to rename state: \(path)") { () throws(SystemError) in
            do throws(SystemError) { try rename("newstate", to: "state", in: directory) } catch {
                // The processor removed it: there is nothing to remember.
                if error.errno != .noEntry { throw error }
            }
        }
        voice.tell("processed: \(path)/\(label).s")
    }
}

/// How svlogd speaks to people.
struct SvlogdVoice {
    /// Where.
    let messages: Messages
    /// Whether it says what it does.
    let isVerbose: Bool

    /// Says what is being done, if that is wanted.
    func tell(_ text: @autoclosure () -> ByteString) {
        if isVerbose { messages.information(text()) }
    }
}
