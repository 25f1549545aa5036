import Bytes
import CLinux

extension ByteBlock {
    /// A block of `count` bytes, or of `minimum` where memory is so scarce that there would be little
    /// left for everything else; throws ENOMEM when not even that is to be had. malloc(3).
    public init(count: Int, orAtLeast minimum: Int) throws(SystemError) {
        let isPlenty = ByteBlock.isToBeHad(count + ByteBlock.reserve)
        let size = isPlenty ? count : minimum
        guard let memory = malloc(size) else { throw SystemError("malloc", .noMemory) }
        self.init(owning: UnsafeMutableRawBufferPointer(start: memory, count: size))
    }

    /// What is to be left: more than a program of ours allocates in small pieces.
    private static let reserve = 64 * 1024

    private static func isToBeHad(_ count: Int) -> Bool {
        let memory = malloc(count)
        free(memory)
        return memory != nil
    }
}
