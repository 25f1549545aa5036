import Bytes

/// /etc/fstab, fstab(5).
public struct FileSystemTable: Equatable, Sendable {
    /// A line of it.
    public struct Entry: Equatable, Sendable {
        /// Where it stands, counted from one.
        public let line: Int
        /// The device: a path, `UUID=…`, `LABEL=…`, or a word for file systems without one.
        public let source: ByteString
        /// Where it goes; `none` for swap.
        public let target: ByteString
        /// The file system's type.
        public let type: ByteString
        /// How it is mounted.
        public let options: MountOptions
        /// When it is checked: 0 never, 1 first, then the others.
        public let pass: Int

        /// Whether it is swap space.
        public var isSwap: Bool { type == "swap" }
        /// Whether it is the root file system.
        public var isRoot: Bool { target == "/" }
    }

    /// What is mounted, in the order of the file.
    public let entries: [Entry]
    /// The lines that are none, by number.
    public let wrongLines: [Int]

    /// Reads the file. A wrong line is left out.
    public init(_ text: [UInt8]) {
        var entries: [Entry] = []
        var wrong: [Int] = []
        for line in ConfigurationLine.all(in: text) {
            let words = line.words.map { unescapeOctal($0) }
            let pass = words.count > 5 ? parseDecimal(words[5], within: 0...999) : 0
            guard words.count >= 3, let pass, words[1].hasPrefix("/") || words[2] == "swap" else {
                wrong.append(line.number)
                continue
            }
            entries.append(
                Entry(
                    line: line.number, source: words[0], target: words[1], type: words[2],
                    options: MountOptions(words.count > 3 ? words[3] : ""), pass: pass))
        }
        self.entries = entries
        wrongLines = wrong
    }
}

/// The text with `\040` and the like as the bytes that they mean: how the kernel's tables and fstab(5) write blanks.
func unescapeOctal(_ text: ByteString) -> ByteString {
    guard text.contains(UInt8(ascii: "\\")) else { return text }
    var bytes: [UInt8] = []
    var rest = text.bytes
    while let byte = rest.first {
        rest = rest.dropFirst()
        let digits = rest.prefix(3).map { $0 &- UInt8(ascii: "0") }
        if byte == UInt8(ascii: "\\"), digits.count == 3, digits.allSatisfy({ $0 < 8 }),
            digits[0] < 4
        {
            bytes.append(digits[0] << 6 | digits[1] << 3 | digits[2])
            rest = rest.dropFirst(3)
        } else {
            bytes.append(byte)
        }
    }
    return ByteString(bytes)
}
