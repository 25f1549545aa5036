import Bytes
import Commands
import Linux
import Networking

/// mconnect(1): talks to a mail server, or another one whose lines end in CR LF.
func mconnect(_ call: Call) throws(Failure) -> Outcome {
    let host = call.operand(1, else: "0")
    guard let socket = openConnection(to: host, port: call.operand(2, else: "25")) else {
        return .exit(111)
    }
    do throws(SystemError) {
        try converse(reading: socket.number, writing: socket.number)
    } catch { throw error.explained("unable to pass on input and output") }
    return .exit(0)
}
