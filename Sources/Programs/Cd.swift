import Bytes
import Commands
import Linux

/// cd(8): changes the current directory and becomes the child.
func cd(_ call: Call) throws(Failure) -> Outcome {
    guard call.arguments.count > 2 else { throw Failure(usage: "cd dir child") }
    let directory = call.arguments[1]
    do throws(SystemError) { try changeDirectory(directory) } catch {
        throw error.explained("unable to switch to \(directory)")
    }
    return .become(Invocation(command: call.arguments[2...], environment: call.environment))
}
