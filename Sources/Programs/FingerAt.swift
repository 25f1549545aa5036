import Bytes
import Commands
import Linux
import Networking

/// finger@(1): shows what a host's finger server says of a user, or of all.
func fingerAt(_ call: Call) throws(Failure) -> Outcome {
    try showAnswer(
        from: call.operand(1, else: "0"), port: "79", to: "\(call.operand(2, else: ""))\n",
        through: VisibleText(), exitCode: 1)
    return .exit(0)
}
