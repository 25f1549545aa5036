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
        var length = 0
        while cString[length] != 0 { length += 1 }
        storage = [UInt8](UnsafeRawBufferPointer(start: cString, count: length + 1))
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
    public func hasPrefix(_ prefix: ByteString) -> Bool { bytes.starts(with: prefix.bytes) }

    /// Whether the bytes are those of `text`; makes no copy, for look-ups in tables.
    public func isSpelled(_ text: StaticString) -> Bool { bytes.isSpelled(text) }

    /// Whether `byte` occurs.
    public func contains(_ byte: UInt8) -> Bool { bytes.contains(byte) }

    /// The part after the last slash; the whole when there is none.
    public var lastComponent: ByteString {
        guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return self }
        return ByteString(bytes[(slash + 1)...])
    }

    /// The parts between the separators, empty ones too.
    public func parts(separatedBy separator: UInt8) -> [ByteString] {
        bytes.split(separator: separator, omittingEmptySubsequences: false).map { ByteString($0) }
    }

    /// What is before and after the first `separator`; nil when there is none.
    public func cut(at separator: UInt8) -> (before: ByteString, after: ByteString)? {
        guard let index = bytes.firstIndex(of: separator) else { return nil }
        return (ByteString(bytes[..<index]), ByteString(bytes[(index + 1)...]))
    }

    /// The bytes of `words`, with `separator` between each two.
    public init(_ words: [ByteString], joinedBy separator: ByteString) {
        self.init()
        for (index, word) in words.enumerated() {
            if index > 0 { append(separator) }
            append(word)
        }
    }

    /// Adds the bytes of `other`.
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
    public static func == (left: ByteString, right: ByteString) -> Bool {
        left.storage == right.storage
    }

    /// Byte order, as `LC_ALL=C sort` has it.
    public static func < (left: ByteString, right: ByteString) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) {
        storage.withUnsafeBytes { hasher.combine(bytes: $0) }
    }
}

extension [ByteString] {
    /// Puts them in byte order.
    public mutating func sortByBytes() { sort { $0 < $1 } }
}

extension ByteString: ExpressibleByStringInterpolation {
    /// Builds a message: literal text, byte strings and integers, in order.
    public struct StringInterpolation: StringInterpolationProtocol {
        var bytes: [UInt8] = []

        /// Reserves room for the literal parts and a little for each value.
        public init(literalCapacity: Int, interpolationCount: Int) {
            bytes.reserveCapacity(literalCapacity + 16 * interpolationCount)
        }

        /// Adds literal text.
        public mutating func appendLiteral(_ literal: StaticString) {
            appendInterpolation(literal)
        }

        /// Adds bytes as they are.
        public mutating func appendInterpolation(_ value: ByteString) {
            bytes.append(contentsOf: value.bytes)
        }

        /// Adds text.
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
    public init(stringLiteral value: StaticString) {
        self.init(
            UnsafeBufferPointer(start: value.utf8Start, count: value.utf8CodeUnitCount))
    }

    /// The bytes of an interpolated message.
    public init(stringInterpolation: StringInterpolation) { self.init(stringInterpolation.bytes) }
}
