import Bytes
import Commands
import Linux
import Services
import Supervision

/// runsv(8) of runit: supervises a service and, if it has a directory `log`, its logger. The logger's supervisor is
/// a child, with the pipe as its standard input; it ends when the service has been left and the pipe is empty.
func runsv(_ call: Call) throws(Failure) -> Outcome {
    guard call.arguments.count == 2 else { throw Failure(usageOfRunit: "dir", exitCode: 1) }
    let directory = call.arguments[1]
    let name: ByteString = "runsv \(directory)"
    let messages = Messages(program: name)
    do throws(SystemError) { _ = try openFile(directory, .place) } catch {
        return fail(messages, error.explained("unable to change to directory"))
    }
    let logger: ProcessID?
    do throws(SystemError) {
        openStandardDescriptors(messages)
        logger = try startLogger(directory, call, name, messages)
    } catch { return fail(messages, error.explained("unable to start the logger's supervisor")) }
    do throws(Failure) {
        let outcome = try supervise(
            call, only(directory), scanDirectory: nil, as: name, asRunit: true)
        if let logger { end(logger, messages) }
        return outcome
    } catch {
        if let logger { end(logger, messages) }
        return fail(messages, error)
    }
}

private func only(_ directory: ByteString) -> Conductor.Configuration {
    var conductor = svscanStop
    conductor.single = directory
    return conductor
}

private func fail(_ messages: Messages, _ failure: Failure) -> Outcome {
    messages.report(failure)
    return .exit(failure.exitCode)
}

/// Starts the supervisor of the logger, if there is one. From then on standard output is the pipe to it.
private func startLogger(
    _ directory: ByteString, _ call: Call, _ name: ByteString, _ messages: Messages
) throws(SystemError) -> ProcessID? {
    let path: ByteString = "\(directory)/log"
    guard try exists(path) else { return nil }
    guard try status(of: path).isDirectory else {
        messages.warning("./log: not a directory.")
        return nil
    }
    let pipe = try Pipe()
    guard case .parent(let child) = try forkProcess() else {
        try redirect(Standard.input, to: pipe.reader.number)
        // A runsv that is killed leaves its service and the logger, but nobody who holds their locks.
        try CurrentProcess.endWithParent()
        closeUnowned(pipe.writer.release())
        exitNow(superviseLogger(path, call, name))
    }
    try redirect(Standard.output, to: pipe.writer.number)
    return child
}

/// Tells the logger's supervisor to end with the logger.
private let leave = Signal.user1

/// The exit code of the logger's supervisor. It is told to end by runsv alone, when there is nothing more to log.
private func superviseLogger(_ path: ByteString, _ call: Call, _ name: ByteString) -> Int32 {
    do throws(Failure) {
        let outcome = try supervise(
            call, only(path), scanDirectory: nil, as: name, asRunit: true,
            // What is supervised alone is the first of its kind.
            meaning: { $0 == leave ? [.commanded(ServiceID(0), .exit)] : [] })
        if case .exit(let code) = outcome { return code }
        return 0
    } catch {
        Messages(program: name).report(error)
        return error.exitCode
    }
}

/// Closes the pipe, and waits for the logger to come to its end.
private func end(_ logger: ProcessID, _ messages: Messages) {
    do throws(SystemError) {
        let null = try openFile("/dev/null", .readWrite)
        try redirect(Standard.output, to: null.number)
        try send(leave, to: logger)
        _ = try reap(logger, block: true)
    } catch { messages.warning("unable to end the logger", error.errno) }
}
