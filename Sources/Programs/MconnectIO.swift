import Bytes
import Commands
import Linux
import Networking

/// mconnect-io(1): passes input to descriptor 7, with CR LF, and descriptor 6 to output.
func mconnectIO(_ call: Call) throws(Failure) -> Outcome {
    do throws(SystemError) { try converse(reading: 6, writing: 7) } catch {
        throw error.explained("unable to pass on input and output")
    }
    return .exit(0)
}
