import Bytes
import Commands
import Linux
import Networking

/// addcr(1): copies input to output with a carriage return before every line feed.
func addcr(_ call: Call) -> Outcome {
    do throws(CopyError) {
        try copy(
            from: Standard.input, to: Standard.output, through: CarriageReturnInserter())
        return .exit(0)
    } catch {
        // Like the original, without a word.
        return .exit(111)
    }
}
