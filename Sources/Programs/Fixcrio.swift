import Bytes
import Commands
import Linux
import Networking

/// fixcrio(1): gives every line that a program reads or writes a carriage return.
func fixcrio(_ call: Call) throws(Failure) -> Outcome {
    guard call.arguments.count > 1 else {
        throw Failure(usage: "fixcrio program [ arg ... ]")
    }
    try interpose(CarriageReturnFixer(), CarriageReturnFixer())
    return .become(Invocation(command: call.arguments[1...], environment: call.environment))
}
