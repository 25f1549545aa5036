import Bytes
import Commands
import Linux
import Networking

/// delcr(1): copies input to output without the carriage returns before line feeds.
func delcr(_ call: Call) -> Outcome {
    do throws(CopyError) {
        try copy(from: Standard.input, to: Standard.output, through: CarriageReturnRemover())
        return .exit(0)
    } catch {
        // Like the original, without a word.
        return .exit(111)
    }
}
