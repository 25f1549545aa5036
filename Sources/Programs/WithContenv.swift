import Bytes
import Commands
import Linux

/// with-contenv(8): becomes a program with the environment of the container.
func withContenv(_ call: Call) throws(Failure) -> Outcome {
    let words = call.arguments.dropFirst()
    guard !words.isEmpty else { throw Failure(usage: "with-contenv child") }
    var environment = call.environment
    let keeps = environment["S6_KEEP_ENV"].map { !$0.isEmpty && $0 != "0" } ?? false
    if !keeps, let variables = try containerEnvironment() {
        environment = Environment()
        // What its supervisor told it, it is to know still.
        for name in supervisorNames.words {
            if let value = call.environment[name] { environment.set(name, value) }
        }
        for (name, value) in variables { environment.set(name, value) }
    }
    return .become(Invocation(command: words, environment: environment))
}

/// The variables in s6-overlay's directory: each has a file, the last newline of which does not count. Nil where there
/// is no such directory, or it is not for this user.
private func containerEnvironment() throws(Failure) -> [(ByteString, ByteString)]? {
    let path: ByteString = "/run/s6/container_environment"
    let place: Descriptor
    do throws(SystemError) { place = try openFile(path, .directory) } catch {
        if error.errno == .noEntry || error.errno == .accessDenied { return nil }
        throw error.explained("unable to read \(path)")
    }
    var variables: [(ByteString, ByteString)] = []
    do throws(SystemError) {
        for name in try entries(of: ".", in: Directory(place)) where !name.hasPrefix(".") {
            var bytes = try contents(of: name, limit: 1 << 17, in: Directory(place))
            if bytes.isEmpty { continue }
            if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
            variables.append((name, ByteString(bytes)))
        }
    } catch { throw error.explained("unable to read \(path)/\(error.subject)") }
    return variables
}

private let supervisorNames = WordList(
    "NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID LISTEN_PID LISTEN_FDS LISTEN_FDNAMES")
