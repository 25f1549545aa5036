import Bytes
import Commands
import Linux

/// Runs processors: `sh -c COMMAND` in a log directory, reading the full file as standard input,
/// writing the file to archive as standard output, with what the last one left to remember as
/// descriptor 4 and what it leaves to the next as descriptor 5.
public struct Processor {
    private let environment: Environment
    private let blockedSignals: SignalSet

    /// Signals that multilog takes for itself and processors must not inherit as it set them.
    static let ownSignals = SignalSet(.terminate, .alarm)

    /// Runs processors in `environment`, with the signals blocked that were when multilog started.
    public init(environment: Environment, blockedSignals: SignalSet = []) {
        self.environment = environment
        self.blockedSignals = blockedSignals.subtracting(Processor.ownSignals)
    }

    /// Runs `command` on `previous` until it exits 0; the result is in `processed` and `newstate`.
    func run(_ command: ByteString, in place: Directory, path: ByteString, _ retry: Retry) {
        while true {
            guard let pid = start(command, in: place, path: path, retry) else { continue }
            let status = retry.untilDone("wait failed for processor in \(path)") {
                () throws(SystemError) -> ExitStatus in
                guard case .ended(_, let status) = try reap(pid, block: true) else {
                    throw SystemError("waitpid", .noChild)
                }
                return status
            }
            if status.exitCode == 0 { return }
            let end: StaticString = status.signal == nil ? "failed" : "crashed"
            retry.pause("processor \(end) in \(path)")
        }
    }

    /// Starts it, or says why not, pauses and returns nil.
    private func start(
        _ command: ByteString, in place: Directory, path: ByteString, _ retry: Retry
    ) -> ProcessID? {
        let invocation = Invocation(
            "/bin/sh", arguments: ["sh", "-c", command], environment: environment)
        do throws(SystemError) {
            let files = try ProcessorFiles(in: place)
            do throws(SpawnError) { return try spawn(invocation, setup(files, place)) } catch {
                if !error.isFork { throw error.cause }
                retry.pause("unable to fork for processor in \(path)", error.cause.errno)
            }
        } catch {
            retry.messages.report(error.explained("unable to run \(command)"))
            retry.pause("processor failed in \(path)")
        }
        return nil
    }

    private func setup(_ files: borrowing ProcessorFiles, _ place: Directory) -> ChildSetup {
        var setup = ChildSetup()
        setup.descriptors = [
            files.previous.number, files.processed.number, -1, -1, files.state.number,
            files.newState.number,
        ]
        setup.directory = place.number
        setup.defaultSignals = Processor.ownSignals
        setup.blockedSignals = blockedSignals
        return setup
    }
}

/// The files a processor is given.
private struct ProcessorFiles: ~Copyable {
    let previous: Descriptor
    let processed: Descriptor
    let state: Descriptor
    let newState: Descriptor

    init(in place: Directory) throws(SystemError) {
        let previous = try openFile("previous", .read, in: place)
        let processed = try openFile("processed", .truncate, in: place)
        let state = try openFile("state", .read, in: place)
        let newState = try openFile("newstate", .truncate, in: place)
        self.previous = previous
        self.processed = processed
        self.state = state
        self.newState = newState
    }
}
