import CLinux

/// Bytes without NUL that the kernel and users exchange: paths, arguments, environment entries,
/// lines for people. They need not be UTF-8 and are never converted. Stored with a closing NUL, so
/// that a system call takes them as they are.
public struct ByteString: Sendable {
    @usableFromInline var storage: [UInt8]

    /// The empty string.
    public init() { storage = [0] }

    /// The bytes up to the first NUL of `bytes`.
    public init(_ bytes: some Sequence<UInt8>) {
        self =
            bytes.withContiguousStorageIfAvailable { ByteString(copying: $0) }
            ?? Array(bytes).withUnsafeBufferPointer { ByteString(copying: $0) }
    }

    @inline(never)
    private init(copying bytes: UnsafeBufferPointer<UInt8>) {
        let length = offset(of: 0, in: UnsafeRawBufferPointer(bytes)) ?? bytes.count
        storage = [UInt8](unsafeUninitializedCapacity: length + 1) { buffer, count in
            _ = buffer.initialize(fromContentsOf: bytes[..<length])
            buffer[length] = 0
            count = length + 1
        }
    }

    /// A copy of a C string, which stays the caller's.
    public init(cString: UnsafePointer<CChar>) {
        let length = strlen(cString)
        storage = [UInt8](unsafeUninitializedCapacity: length + 1) { buffer, count in
            if let base = buffer.baseAddress { memcpy(base, cString, length + 1) }
            count = length + 1
        }
    }

    /// The UTF-8 bytes of a text.
    public init(_ text: String) { self.init(text.utf8) }

    /// The bytes of fixed text.
    public init(_ text: StaticString) { self.init(stringLiteral: text) }

    /// The number of bytes, without the closing NUL.
    public var count: Int { storage.count - 1 }

    /// Whether there is no byte.
    public var isEmpty: Bool { storage.count == 1 }

    /// The bytes, without the closing NUL.
    public var bytes: ArraySlice<UInt8> { storage[..<(storage.count - 1)] }

    /// The byte at `index`, counted from zero.
    public subscript(index: Int) -> UInt8 { storage[index] }

    /// Whether the bytes begin with those of `prefix`.
    @inline(never)
    public func hasPrefix(_ prefix: ByteString) -> Bool { bytes.starts(with: prefix.bytes) }

    /// Whether the bytes are those of `text`; makes no copy, for look-ups in tables.
    @inline(never)
    public func isSpelled(_ text: StaticString) -> Bool {
        text.utf8CodeUnitCount == count && memcmp(text.utf8Start, storage, count) == 0
    }

    /// Whether `byte` occurs.
    @inline(never)
    public func contains(_ byte: UInt8) -> Bool { bytes.contains(byte) }

    /// The part after the last slash; the whole when there is none.
    @inline(never)
    public var lastComponent: ByteString {
        guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return self }
        return ByteString(bytes[(slash + 1)...])
    }

    /// The parts between the separators, empty ones too.
    @inline(never)
    public func parts(separatedBy separator: UInt8) -> [ByteString] {
        bytes.split(separator: separator, omittingEmptySubsequences: false).map { ByteString($0) }
    }

    /// What is before and after the first `separator`; nil when there is none.
    @inline(never)
    public func cut(at separator: UInt8) -> (before: ByteString, after: ByteString)? {
        guard let index = bytes.firstIndex(of: separator) else { return nil }
        return (ByteString(bytes[..<index]), ByteString(bytes[(index + 1)...]))
    }

    /// The bytes of `words`, with `separator` between each two.
    @inline(never)
    public init(_ words: [ByteString], joinedBy separator: ByteString) {
        self.init()
        for (index, word) in words.enumerated() {
            if index > 0 { append(separator) }
            append(word)
        }
    }

    /// Adds the bytes of `other`.
    @inline(never)
    public mutating func append(_ other: ByteString) {
        storage.removeLast()
        storage.append(contentsOf: other.storage)
    }

    /// Adds bytes; none of them may be NUL.
    public mutating func append(_ more: some Sequence<UInt8>) {
        storage.removeLast()
        storage.append(contentsOf: more)
        storage.append(0)
    }

    /// Calls `body` with the bytes as a C string, valid during the call.
    @inlinable
    public func withCString<Result, Failure: Error>(
        _ body: (UnsafePointer<CChar>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // An array of UInt8 is an array of CChar in memory; the pointer holds during the call.
        try storage.withUnsafeBufferPointer { (buffer) throws(Failure) -> Result in
            let base = UnsafeRawPointer(buffer.baseAddress.unsafelyUnwrapped)
            return try body(base.assumingMemoryBound(to: CChar.self))
        }
    }
}

extension ByteString: Equatable, Hashable {
    /// Equal when every byte is.
    @inline(never)
    public static func == (left: ByteString, right: ByteString) -> Bool {
        left.storage.count == right.storage.count
            && memcmp(left.storage, right.storage, left.storage.count) == 0
    }

    /// Byte order, as `LC_ALL=C sort` has it.
    @inline(never)
    public static func < (left: ByteString, right: ByteString) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) {
        storage.withUnsafeBytes { hasher.combine(bytes: $0) }
    }
}

extension [ByteString] {
    /// Puts them in byte order. By Shell's sort, which is a tenth of the library's code.
    @inline(never)
    public mutating func sortByBytes() {
        var gap = count / 2
        while gap > 0 {
            for start in gap..<count {
                var place = start
                while place >= gap && self[place] < self[place - gap] {
                    swapAt(place, place - gap)
                    place -= gap
                }
            }
            gap = gap == 2 ? 1 : gap * 5 / 11
        }
    }
}

extension ByteString: ExpressibleByStringInterpolation {
    /// Builds a message: literal text, byte strings and integers, in order.
    public struct StringInterpolation: StringInterpolationProtocol {
        var bytes: [UInt8] = []

        /// Reserves room for the literal parts and a little for each value.
        @inline(never)
        public init(literalCapacity: Int, interpolationCount: Int) {
            bytes.reserveCapacity(literalCapacity + 16 * interpolationCount)
        }

        /// Adds literal text.
        public mutating func appendLiteral(_ literal: StaticString) {
            appendInterpolation(literal)
        }

        /// Adds bytes as they are.
        @inline(never)
        public mutating func appendInterpolation(_ value: ByteString) {
            bytes.append(contentsOf: value.bytes)
        }

        /// Adds text.
        @inline(never)
        public mutating func appendInterpolation(_ value: StaticString) {
            bytes.append(
                contentsOf: UnsafeBufferPointer(
                    start: value.utf8Start, count: value.utf8CodeUnitCount))
        }

        /// Adds a number in decimal.
        public mutating func appendInterpolation(_ value: some BinaryInteger) {
            appendDecimal(value, to: &bytes)
        }
    }

    /// The bytes of a literal.
    @inline(never)
    public init(stringLiteral value: StaticString) {
        self.init(
            UnsafeBufferPointer(start: value.utf8Start, count: value.utf8CodeUnitCount))
    }

    /// The bytes of an interpolated message.
    @inline(never)
    public init(stringInterpolation: StringInterpolation) { self.init(stringInterpolation.bytes) }
}

/// Adds `value` in decimal, with a minus sign if it is negative.
public func appendDecimal(_ value: some BinaryInteger, to bytes: inout [UInt8]) {
    if value < 0 { bytes.append(UInt8(ascii: "-")) }
    var magnitude = value.magnitude
    let start = bytes.count
    repeat {
        let (quotient, digit) = magnitude.quotientAndRemainder(dividingBy: 10)
        bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digit))
        magnitude = quotient
    } while magnitude != 0
    bytes[start...].reverse()
}

/// The number that `text` is, decimal digits, after a minus sign perhaps, and nothing else, if it is one
/// of `range`.
public func parseDecimal(_ text: ByteString, within range: ClosedRange<Int>) -> Int? {
    let isNegative = text.bytes.first == UInt8(ascii: "-")
    let digits = text.bytes.dropFirst(isNegative ? 1 : 0)
    let (magnitude, length) = scanDecimal(digits)
    // More digits might wrap.
    guard (1...18).contains(length), length == digits.count else { return nil }
    let value = isNegative ? -Int(magnitude) : Int(magnitude)
    return range.contains(value) ? value : nil
}

/// Reads leading decimal digits as DJB's `scan_ulong` does: no sign, no blanks, wrapping silently.
/// Returns the value and how many bytes were digits.
public func scanDecimal(_ bytes: some Sequence<UInt8>) -> (value: UInt, length: Int) {
    var value: UInt = 0
    var length = 0
    for byte in bytes {
        let digit = byte &- UInt8(ascii: "0")
        if digit > 9 { break }
        value = value &* 10 &+ UInt(digit)
        length += 1
    }
    return (value, length)
}
