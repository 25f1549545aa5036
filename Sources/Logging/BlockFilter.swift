import Bytes
import Linux

/// Bytes on their way to a descriptor, written when there are many or when `flush` is called.
struct BufferedOutput: ~Copyable {
    private static let capacity = 64 * 1024

    private let descriptor: Int32
    private let memory: UnsafeMutableRawPointer
    private var count = 0

    /// Writes to `descriptor`, which stays the caller's.
    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        memory = .allocate(byteCount: BufferedOutput.capacity, alignment: 64)
    }

    deinit { memory.deallocate() }

    /// Adds bytes.
    mutating func append(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        var rest = bytes
        while let base = rest.baseAddress, !rest.isEmpty {
            if count == BufferedOutput.capacity { try flush() }
            let part = min(rest.count, BufferedOutput.capacity - count)
            (memory + count).copyMemory(from: base, byteCount: part)
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
        var rest = UnsafeRawBufferPointer(start: memory, count: count)
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
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 64)
        defer { block.deallocate() }
        var buffer = BufferedOutput(output)
        while true {
            let count = try read(input, into: block)
            if count == 0 { break }
            try take(UnsafeRawBufferPointer(rebasing: block[..<count]), &buffer)
            try buffer.flush()
        }
        try end(&buffer)
        try buffer.flush()
    }
}
