import Bytes
import Commands
import Linux
import Services
import Supervision

/// supervise(8): supervises one service.
func supervise(_ call: Call) throws(Failure) -> Outcome {
    guard call.arguments.count == 2 else { throw Failure(usage: "supervise dir") }
    var conductor = svscanStop
    conductor.single = call.arguments[1]
    return try supervise(call, conductor, scanDirectory: nil)
}
