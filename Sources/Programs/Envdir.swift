import Bytes
import Commands
import Linux

/// envdir(8): sets the variables that a directory's files hold and becomes the child.
func envdir(_ call: Call) throws(Failure) -> Outcome {
    let words = call.arguments.dropFirst()
    guard let directory = words.first, words.count > 1 else {
        throw Failure(usage: "envdir dir child", exitCode: 111)
    }
    var environment = call.environment
    try EnvironmentDirectory(directory).read(into: &environment)
    return .become(
        Invocation(
            command: words.dropFirst(), environment: environment, search: call.environment))
}
