import Bytes
import Commands
import Linux
import Networking

/// http@(1): shows a page of a web server.
func httpAt(_ call: Call) throws(Failure) -> Outcome {
    let host = call.operand(1, else: "0")
    let port = call.operand(3, else: "80")
    let path = call.operand(2, else: "")
    try showAnswer(
        from: host, port: port, to: "GET /\(path) HTTP/1.0\nHost: \(host):\(port)\n\n",
        through: HTTPBody(), exitCode: 2)
    return .exit(0)
}
