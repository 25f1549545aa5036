import Bytes
import Commands
import Linux
import Supervision

/// supervise(8): supervises one service.
func supervise(_ call: Call) throws(Failure) -> Outcome {
    guard call.arguments.count == 2 else { throw Failure(usage: "supervise dir") }
    let supervisor = try makeSupervisor(call)
    try supervisor.supervise(directory: call.arguments[1])
    return try runUntilStopped(supervisor)
}
