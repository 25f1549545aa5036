import Bytes
import Commands
import Linux

/// pgrphack(8): starts a session and becomes the child.
func pgrphack(_ call: Call) throws(Failure) -> Outcome {
    guard call.arguments.count > 1 else { throw Failure(usage: "pgrphack child") }
    // The original ignores the result too: a process group leader already has what is asked for.
    do { try CurrentProcess.startSession() } catch {}
    return .become(
        Invocation(command: call.arguments.dropFirst(), environment: call.environment))
}
