/// A block of memory with one owner, for system calls to fill: not initialized, and freed with it.
@frozen public struct ByteBlock: ~Copyable {
    /// All of it; valid as long as the block is.
    public let bytes: UnsafeMutableRawBufferPointer

    /// A block of `count` bytes.
    public init(count: Int) { bytes = .allocate(byteCount: count, alignment: 16) }

    /// Takes ownership of memory that was allocated by malloc(3) or the like.
    public init(owning bytes: UnsafeMutableRawBufferPointer) { self.bytes = bytes }

    /// Where it starts.
    public var start: UnsafeMutableRawPointer { bytes.baseAddress.unsafelyUnwrapped }

    deinit { bytes.deallocate() }

    /// Some of it.
    public subscript(range: Range<Int>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[range])
    }
}
