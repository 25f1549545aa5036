import Bytes
import Linux

/// Where lines come from, and how reading them ends: at the end of the input, or when told to, but not
/// in the middle of a line. Then only the rest of the line is read, byte by byte, and what comes after
/// it stays in the pipe for the next logger.
struct LogInput {
    /// What to read, and to wait for.
    let descriptor: Int32
    /// Whether there is nothing more to read.
    private(set) var hasEnded = false

    private var isEnding = false
    private var isInLine = false

    /// Reads `descriptor`, which stays the caller's.
    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// Ends the input after the line being read.
    mutating func endSoon() {
        isEnding = true
        if !isInLine { hasEnded = true }
    }

    /// Puts some bytes at the start of `block` and returns how many. An error ends the input as its
    /// end does.
    mutating func read(into block: UnsafeMutableRawBufferPointer) -> Int {
        let wanted = UnsafeMutableRawBufferPointer(rebasing: block[..<(isEnding ? 1 : block.count)])
        let count: Int
        do throws(SystemError) { count = try Linux.read(descriptor, into: wanted) } catch {
            if error.errno != .again { hasEnded = true }
            return 0
        }
        isInLine = count > 0 && block[count - 1] != UInt8(ascii: "\n")
        hasEnded = count == 0 || (isEnding && !isInLine)
        return count
    }
}
