import Bytes
import Commands
import Linux
import Networking

/// recordio(1): shows on standard error what a program reads and writes.
func recordio(_ call: Call) throws(Failure) -> Outcome {
    guard call.arguments.count > 1 else {
        throw Failure(usage: "recordio program [ arg ... ]")
    }
    let pid = CurrentProcess.id
    try interpose(
        Recorder(RecordedLines(pid: pid, .input)), Recorder(RecordedLines(pid: pid, .output)))
    return .become(Invocation(command: call.arguments[1...], environment: call.environment))
}
