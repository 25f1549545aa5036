import Bytes
import Commands
import Linux

/// Runs processors: `sh -c COMMAND` in a log directory, reading the full file as standard input,
/// writing the file to archive as standard output, with what the last one left to remember as
/// descriptor 4 and what it leaves to the next as descriptor 5.
public struct Processor {
    /// Signals that multilog takes for itself and processors must not inherit as it set them.
    private static let ownSignals = SignalSet(.terminate, .alarm, .hangup)
    /// For how many milliseconds a processor may go on when multilog has been told to end.
    private static let patience: Int32 = 10_000

    private let environment: Environment
    private let blockedSignals: SignalSet

    /// Runs processors in `environment`, with the signals blocked that were when multilog started.
    public init(environment: Environment, blockedSignals: SignalSet = []) {
        self.environment = environment
        self.blockedSignals = blockedSignals.subtracting(Processor.ownSignals)
    }

    /// Runs `command` on `previous` until it exits 0. Returns nil when there is no file `previous` to
    /// be processed, since somebody removed it or put something else there, which is said.
    func run(
        _ command: ByteString, in place: Directory, path: ByteString, _ archive: Archive,
        _ retry: Retry
    ) throws(Retry.GivenUp) -> ProcessorFiles? {
        while true {
            let previous = try retry.untilDone("unable to stat \(path)/previous") {
                () throws(SystemError) in try archive.statusIfAny("previous")
            }
            if previous?.isRegular != true {
                retry.messages.warning("\(path)/previous was removed, nothing to process")
                return nil
            }
            let files: ProcessorFiles
            do throws(SystemError) {
                files = try ProcessorFiles(reading: "previous", writing: "processed", in: place)
            } catch {
                retry.messages.report(error.explained("unable to run \(command)"))
                try retry.pause("processor failed in \(path)")
                continue
            }
            let pid: ProcessID
            do throws(SpawnError) {
                pid = try start(command, files, in: place)
            } catch {
                if error.isFork {
                    try retry.pause("unable to fork for processor in \(path)", error.cause.errno)
                } else {
                    retry.messages.report(error.cause.explained("unable to run \(command)"))
                    try retry.pause("processor failed in \(path)")
                }
                continue
            }
            let status = try end(of: pid, path, retry)
            if status.exitCode == 0 { return files }
            let end: StaticString = status.signal == nil ? "failed" : "crashed"
            try retry.pause("processor \(end) in \(path)")
        }
    }

    /// Waits for a processor. One that is not done in time when multilog is to end is ended too; what it
    /// read is archived by the next multilog.
    private func end(of pid: ProcessID, _ path: ByteString, _ retry: Retry) throws(Retry.GivenUp)
        -> ExitStatus
    {
        if isLate(pid, retry) {
            retry.messages.warning("processor takes too long in \(path), giving up")
            do throws(SystemError) { try send(.terminate, to: pid) } catch {}
            throw Retry.GivenUp()
        }
        return try retry.untilDone("wait failed for processor in \(path)") {
            () throws(SystemError) -> ExitStatus in
            guard case .ended(_, let status) = try reap(pid, block: true) else {
                throw SystemError("waitpid", .noChild)
            }
            return status
        }
    }

    /// Whether the processor runs on though its time is over.
    private func isLate(_ pid: ProcessID, _ retry: Retry) -> Bool {
        do throws(SystemError) {
            let process = try openProcess(pid)
            return !retry.wait(for: process, butAtLast: Processor.patience)
        } catch {
            // Without the call there is no end to the wait but the processor's.
            return false
        }
    }

    /// Starts `command` on `files` of the directory `place`.
    func start(_ command: ByteString, _ files: borrowing ProcessorFiles, in place: Directory)
        throws(SpawnError) -> ProcessID
    { try spawn(invocation(command), setup(files, place)) }

    private func invocation(_ command: ByteString) -> Invocation {
        Invocation("/bin/sh", arguments: ["sh", "-c", command], environment: environment)
    }

    private func setup(_ files: borrowing ProcessorFiles, _ place: Directory) -> ChildSetup {
        var setup = ChildSetup()
        setup.descriptors = [
            files.input.number, files.output.number, -1, -1, files.state.number,
            files.newState.number,
        ]
        setup.directory = place.number
        setup.defaultSignals = Processor.ownSignals
        setup.blockedSignals = blockedSignals
        return setup
    }
}

/// The files a processor is given. What it writes is made anew: nothing that somebody put there is
/// written to.
struct ProcessorFiles: ~Copyable {
    /// The full file.
    let input: Descriptor
    /// The file to archive.
    let output: Descriptor
    /// What the last one left; empty when somebody removed it.
    let state: Descriptor
    /// What the next one is to remember.
    let newState: Descriptor

    init(reading: ByteString, writing: ByteString, in place: Directory) throws(SystemError) {
        let input = try openRegularFile(reading, .read, in: place)
        let output = try ProcessorFiles.make(writing, in: place)
        let state = try ProcessorFiles.openState(in: place)
        let newState = try ProcessorFiles.make("newstate", in: place)
        self.input = input
        self.output = output
        self.state = state
        self.newState = newState
    }

    /// Makes a file in place of what a crash may have left; where that cannot be removed, making it tells.
    private static func make(_ file: ByteString, in place: Directory) throws(SystemError)
        -> Descriptor
    {
        do throws(SystemError) { try removeFile(file, in: place) } catch {}
        return try openFile(file, .createNew, in: place)
    }

    private static func openState(in place: Directory) throws(SystemError) -> Descriptor {
        do throws(SystemError) { return try openRegularFile("state", .read, in: place) } catch {
            if error.errno != .noEntry { throw error }
        }
        _ = try openFile("state", .createNew, in: place)
        return try openRegularFile("state", .read, in: place)
    }
}
