import Bytes
import Commands
import Linux
import Networking

/// tcpcat(1): prints what a server sends, byte by byte.
func tcpcat(_ call: Call) throws(Failure) -> Outcome {
    let host = call.operand(1, else: "0")
    guard let socket = openConnection(to: host, port: call.operand(2, else: "17")) else {
        return .exit(111)
    }
    do throws(CopyError) {
        try copy(from: socket.number, to: Standard.output, through: Unchanged())
    } catch {
        switch error {
        case .read(let error): throw error.explained("unable to read input", exitCode: 1)
        case .write(let error): throw error.explained("unable to write output", exitCode: 1)
        }
    }
    return .exit(0)
}
