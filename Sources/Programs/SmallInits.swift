import Bytes
import Commands
import Init
import Linux

/// tini(1), also by the names tini-static and docker-init.
func tini(_ call: Call) throws(Failure) -> Outcome {
    try perform(
        SmallInit.tini(
            call.arguments, call.environment, pid: CurrentProcess.id, release: version), call)
}

/// dumb-init(1).
func dumbInit(_ call: Call) throws(Failure) -> Outcome {
    try perform(SmallInit.dumbInit(call.arguments, call.environment, release: version), call)
}

/// catatonit(1).
func catatonit(_ call: Call) throws(Failure) -> Outcome {
    try perform(
        SmallInit.catatonit(
            call.arguments, call.environment, pid: CurrentProcess.id, release: version), call)
}

private func perform(_ request: SmallInitRequest, _ call: Call) throws(Failure) -> Outcome {
    switch request {
    case .run(let plan): return .exit(SmallInitProcess.run(plan, call.environment))
    case .say(let text, let descriptor, let exitCode):
        do throws(SystemError) { try writeAll(descriptor, Array(text.bytes)) } catch {
            throw error.explained("unable to write output")
        }
        return .exit(exitCode)
    }
}
