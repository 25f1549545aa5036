import Bytes
import Commands
import Confinement
import Linux

/// envuidgid(8): puts an account's ids into the environment and becomes the child.
func envuidgid(_ call: Call) throws(Failure) -> Outcome {
    var (options, words) = try longOptions(call, usage: "envuidgid account child")
    let account = try Credentials.account(named: words.removeFirst())
    var environment = call.environment
    environment.set("GID", "\(account.group)")
    environment.set("UID", "\(account.user)")
    return try options.become(
        Invocation(command: words, environment: environment, search: call.environment), call,
        account: account)
}
