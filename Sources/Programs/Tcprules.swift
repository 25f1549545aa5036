import Bytes
import Commands
import Linux
import Networking

/// tcprules(1): compiles access rules.
func tcprules(_ call: Call) throws(Failure) -> Outcome {
    guard call.arguments.count >= 3 else { throw Failure(usage: "tcprules rules.cdb rules.tmp") }
    try compileRules(
        from: Standard.input, to: call.arguments[1], through: call.arguments[2])
    return .exit(0)
}
