import Bytes
import Commands
import Linux
import Networking

/// who@(1): shows who is on a host, as its systat server has it.
func whoAt(_ call: Call) throws(Failure) -> Outcome {
    try showAnswer(
        from: call.operand(1, else: "0"), port: "11", through: VisibleText(), exitCode: 1)
    return .exit(0)
}
