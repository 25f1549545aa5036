import Bytes
import Commands
import Linux
import Networking

/// date@(1): shows a host's time, as its daytime server has it.
func dateAt(_ call: Call) throws(Failure) -> Outcome {
    try showAnswer(
        from: call.operand(1, else: "0"), port: "13", through: VisibleText(), exitCode: 1)
    return .exit(0)
}
