import Bytes
import Commands
import Linux

/// argv0(1): runs a program under another name than its file's.
func argv0(_ call: Call) throws(Failure) -> Outcome {
    guard call.arguments.count > 2 else {
        throw Failure(usage: "argv0 realname program [ arg ... ]")
    }
    return .become(
        Invocation(
            call.arguments[1], arguments: Array(call.arguments[2...]),
            environment: call.environment))
}
