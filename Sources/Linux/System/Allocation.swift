import Bytes
import CLinux

extension ByteBlock {
    /// A block of `count` bytes, or of `minimum` where memory is so scarce that there would be little
    /// left for everything else; throws ENOMEM when not even that is to be had. malloc(3).
    public init(count: Int, orAtLeast minimum: Int) throws(SystemError) {
        // Giving back what is too much, and not a block of its own: the compiler takes it for granted
        // that a block that is only allocated and freed was to be had.
        if let memory = malloc(count + ByteBlock.reserve) {
            let block = realloc(memory, count) ?? memory
            self.init(owning: UnsafeMutableRawBufferPointer(start: block, count: count))
            return
        }
        guard let memory = malloc(minimum) else { throw SystemError("malloc", .noMemory) }
        self.init(owning: UnsafeMutableRawBufferPointer(start: memory, count: minimum))
    }

    /// What is to be left: more than a program of ours allocates in small pieces.
    private static let reserve = 64 * 1024
}
