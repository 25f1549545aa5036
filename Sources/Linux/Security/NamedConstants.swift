import Bytes

/// The value of a constant of the kernel's interface by its name in C, `EPERM` or `CLONE_NEWUSER`,
/// as policies write them; nil for a name that is not known. Negative ones are their 64 bits.
public func namedConstant(_ name: ByteString) -> UInt64? {
    if let errno = errorNumber(name) { return UInt64(errno.code) }
    let value = ownConstants[name] ?? commonConstants[name]
    return value.map { UInt64(bitPattern: Int64($0)) }
}

/// The number of an error by its name in C; nil for a name of none.
public func errorNumber(_ name: ByteString) -> Errno? {
    (errorNumbers[name] ?? errorAliases[name]).map { Errno(Int32($0)) }
}

/// The name of an error number; nil when it has none.
public func errorName(_ errno: Errno) -> ByteString? { errorNumbers.name(of: Int(errno.code)) }

/// The system calls that have one number on every architecture, as all have since Linux 5.1.
public enum UnifiedSystemCalls {
    /// The number of the call named `name`; nil when none of these has that name.
    public static func number(of name: ByteString) -> Int32? {
        unifiedCalls[name].map { Int32($0) }
    }

    /// The name of the call with this number; nil when none of these has it.
    public static func name(of number: UInt32) -> ByteString? {
        unifiedCalls.name(of: Int(number))
    }

    /// The highest number of them.
    public static var highest: Int32 { Int32(unifiedCalls.highestValue) }
}

/// Integers by name: `NAME=VALUE` in the order of the names, separated by single blanks or line ends.
/// The text is the table; nothing is built from it.
struct NameTable: Sendable {
    private let text: StaticString

    /// The table that `text` is.
    init(_ text: StaticString) { self.text = text }

    private var bytes: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    }

    /// The value of `name`; nil when it is not in the table. A binary search.
    subscript(name: ByteString) -> Int? {
        let bytes = bytes
        var rest = bytes.indices
        while !rest.isEmpty {
            let word = NameTable.word(around: (rest.lowerBound + rest.upperBound) / 2, in: bytes)
            let entry = Entry(bytes[word])
            if entry.name.elementsEqual(name.bytes) { return entry.value }
            if entry.name.lexicographicallyPrecedes(name.bytes) {
                rest = min(word.upperBound + 1, rest.upperBound)..<rest.upperBound
            } else {
                rest = rest.lowerBound..<max(word.lowerBound - 1, rest.lowerBound)
            }
        }
        return nil
    }

    /// The first name with this value; nil when there is none.
    func name(of value: Int) -> ByteString? {
        for entry in entries where entry.value == value { return ByteString(entry.name) }
        return nil
    }

    /// The highest value; 0 in an empty table.
    var highestValue: Int { entries.reduce(0) { max($0, $1.value) } }

    /// All of the table, in order.
    var entries: [Entry] { bytes.split(whereSeparator: NameTable.isBlank).map(Entry.init) }

    /// A word of the table, taken apart.
    struct Entry {
        let name: Slice<UnsafeBufferPointer<UInt8>>
        let value: Int

        fileprivate init(_ word: Slice<UnsafeBufferPointer<UInt8>>) {
            name = word.prefix { $0 != UInt8(ascii: "=") }
            let digits = word.dropFirst(name.count + 1)
            let isNegative = digits.first == UInt8(ascii: "-")
            let magnitude = digits.drop { $0 == UInt8(ascii: "-") }.reduce(UInt64(0)) {
                $0 * 10 + UInt64($1 - UInt8(ascii: "0"))
            }
            let value = Int(truncatingIfNeeded: magnitude)
            self.value = isNegative ? -value : value
        }
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n")
    }

    /// Where the word is that has the byte at `place`, or ends just before it.
    private static func word(around place: Int, in bytes: UnsafeBufferPointer<UInt8>)
        -> Range<Int>
    {
        var start = place
        while start > 0 && !isBlank(bytes[start - 1]) { start -= 1 }
        var end = place
        while end < bytes.count && !isBlank(bytes[end]) { end += 1 }
        return start..<end
    }
}
