import Bytes
import Linux

/// Where lines come from, and how reading them ends: at the end of the input, or when told to, but not
/// in the middle of a line. Then only the rest of the line is read, byte by byte, and what comes after
/// it stays in the pipe for the next logger. Who does not end his line is not waited for very long.
struct LogInput {
    /// For how many milliseconds the end of a line is waited for.
    private static let patience: UInt64 = 5000

    /// What to read, and to wait for.
    let descriptor: Int32
    /// Whether there is nothing more to read.
    private(set) var hasEnded = false

    private var deadline: Instant?
    private var isInLine = false

    /// Reads `descriptor`, which stays the caller's.
    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// Ends the input after the line being read.
    mutating func endSoon() {
        if deadline == nil { deadline = Instant.now.advanced(milliseconds: LogInput.patience) }
        if !isInLine { hasEnded = true }
    }

    /// How many milliseconds to wait for more at most: nil for as long as it takes. Ends the input when
    /// its time is over.
    mutating func timeLeft() -> Int32? {
        guard let left = deadline?.millisecondsLeft else { return nil }
        if left == 0 { hasEnded = true }
        return left
    }

    /// Puts some bytes at the start of `block` and returns how many. An error ends the input as its
    /// end does.
    mutating func read(into block: UnsafeMutableRawBufferPointer) -> Int {
        let size = deadline == nil ? block.count : 1
        let wanted = UnsafeMutableRawBufferPointer(rebasing: block[..<size])
        let count: Int
        do throws(SystemError) { count = try Linux.read(descriptor, into: wanted) } catch {
            if error.errno != .again { hasEnded = true }
            return 0
        }
        isInLine = count > 0 && block[count - 1] != UInt8(ascii: "\n")
        hasEnded = count == 0 || (deadline != nil && !isInLine)
        return count
    }
}
