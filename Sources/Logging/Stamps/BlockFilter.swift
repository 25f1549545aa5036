import Bytes
import Linux

/// Bytes on their way to a descriptor, written when there are many or when `flush` is called.
struct BufferedOutput: ~Copyable {
    /// The size of a block, and the least one where memory is scarce.
    static let blockSize = 64 * 1024
    static let leastBlockSize = 4096

    private let descriptor: Int32
    private let block: ByteBlock
    private var count = 0

    /// Writes to `descriptor`, which stays the caller's.
    init(_ descriptor: Int32) throws(SystemError) {
        self.descriptor = descriptor
        block = try ByteBlock(
            count: BufferedOutput.blockSize, orAtLeast: BufferedOutput.leastBlockSize)
    }

    /// Adds bytes.
    mutating func append(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        var rest = bytes
        while let base = rest.baseAddress, !rest.isEmpty {
            if count == block.bytes.count { try flush() }
            let part = min(rest.count, block.bytes.count - count)
            (block.start + count).copyMemory(from: base, byteCount: part)
            count += part
            rest = UnsafeRawBufferPointer(rebasing: rest[part...])
        }
    }

    /// Adds bytes.
    mutating func append(_ bytes: [UInt8]) throws(SystemError) {
        try bytes.withUnsafeBufferPointer { (buffer) throws(SystemError) in
            try append(UnsafeRawBufferPointer(buffer))
        }
    }

    /// Writes everything.
    mutating func flush() throws(SystemError) {
        var rest = block[0..<count]
        while !rest.isEmpty {
            let written = try write(descriptor, rest)
            rest = UnsafeRawBufferPointer(rebasing: rest[written...])
        }
        count = 0
    }
}

/// Something that turns lines into other lines, block by block.
protocol LineFilter: ~Copyable {
    /// Takes a block of input, not empty, that begins and ends anywhere.
    mutating func take(_ block: UnsafeRawBufferPointer, _ output: inout BufferedOutput)
        throws(SystemError)
    /// Takes the end of the input.
    mutating func end(_ output: inout BufferedOutput) throws(SystemError)
}

extension LineFilter where Self: ~Copyable {
    /// Filters `input` to `output`, until the input ends. What comes of a block is written before the
    /// next is read, so that nothing is held while waiting.
    mutating func run(from input: Int32, to output: Int32) throws(SystemError) {
        let block = try ByteBlock(
            count: BufferedOutput.blockSize, orAtLeast: BufferedOutput.leastBlockSize)
        var buffer = try BufferedOutput(output)
        while true {
            let count = try read(input, into: block.bytes)
            if count == 0 { break }
            try take(block[0..<count], &buffer)
            try buffer.flush()
        }
        try end(&buffer)
        try buffer.flush()
    }
}
