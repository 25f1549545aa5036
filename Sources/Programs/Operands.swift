import Bytes
import Commands
import Linux

extension Call {
    /// The word at `index`, the program's name being at 0; `default` when there are fewer.
    func operand(_ index: Int, else default: ByteString) -> ByteString {
        index < arguments.count ? arguments[index] : `default`
    }
}
