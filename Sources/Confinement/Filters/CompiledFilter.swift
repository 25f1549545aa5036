import Bytes
import Commands
import Linux

// The file that seccomprules(8) writes: a header of 24 bytes, then the instructions of linux/filter.h, all
// in the byte order of the machine. seccomp-policy(5) describes it.
extension SystemCallFilter {
    private static let magic: [UInt8] = [0x7f] + Array("APUSBPF".utf8)
    private static let headerSize = 24
    private static let version: UInt16 = 1

    /// Whether `bytes` begin as such a file does.
    static func isFile(_ bytes: [UInt8]) -> Bool { bytes.starts(with: magic) }

    /// The file's bytes.
    var file: [UInt8] {
        var bytes = SystemCallFilter.magic
        append(SystemCallFilter.version, to: &bytes)
        append(UInt16(instructions.count), to: &bytes)
        append(Architecture.native.auditNumber, to: &bytes)
        append(flags.rawValue, to: &bytes)
        append(UInt32(0), to: &bytes)
        for instruction in instructions {
            append(instruction.code, to: &bytes)
            bytes.append(instruction.skipIfTrue)
            bytes.append(instruction.skipIfFalse)
            append(instruction.value, to: &bytes)
        }
        var sum: [UInt8] = []
        append(SystemCallFilter.checksum(bytes), to: &sum)
        bytes.replaceSubrange(20..<24, with: sum)
        return bytes
    }

    /// Reads the file's bytes; `name` is its path in messages. A file that is damaged, or was compiled for
    /// another architecture, fails with exit code 111.
    init(file bytes: [UInt8], name: ByteString) throws(Failure) {
        func word<Word: FixedWidthInteger>(_ offset: Int, _ type: Word.Type) -> Word {
            bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: type) }
        }
        let size = SystemCallFilter.headerSize
        guard SystemCallFilter.isFile(bytes), bytes.count >= size else {
            throw Failure("\(name) is not a compiled policy")
        }
        guard word(8, UInt16.self) == SystemCallFilter.version else {
            throw Failure("\(name) is of another version of the format")
        }
        guard word(12, UInt32.self) == Architecture.native.auditNumber else {
            throw Failure("\(name) was compiled for another architecture")
        }
        let count = Int(word(10, UInt16.self))
        let flags = FilterFlags(rawValue: word(16, UInt32.self))
        guard bytes.count == size + count * 8, (1...SystemCallFilter.limit).contains(count),
            flags.isSubset(of: [.log, .allowSpeculation]),
            word(20, UInt32.self) == SystemCallFilter.checksum(bytes)
        else { throw Failure("\(name) is damaged") }
        self.flags = flags
        instructions = (0..<count).map { index in
            let offset = size + index * 8
            return FilterInstruction(
                code: word(offset, UInt16.self), word(offset + 4, UInt32.self),
                ifTrue: bytes[offset + 2], ifFalse: bytes[offset + 3])
        }
    }

    /// FNV-1a of all bytes but the checksum itself. It detects accidents, not manipulation.
    static func checksum(_ bytes: [UInt8]) -> UInt32 {
        var sum: UInt32 = 2_166_136_261
        for (offset, byte) in bytes.enumerated() where !(20..<24).contains(offset) {
            sum = (sum ^ UInt32(byte)) &* 16_777_619
        }
        return sum
    }
}

private func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
}
