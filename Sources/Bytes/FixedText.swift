// Fixed text is compared and copied as the bytes it is: String would take it for Unicode.

extension StaticString {
    /// The bytes, which are there as long as the program is.
    public var bytes: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: utf8Start, count: utf8CodeUnitCount)
    }
}

extension Collection<UInt8> {
    /// Whether the bytes are those of `text`.
    public func isSpelled(_ text: StaticString) -> Bool {
        count == text.utf8CodeUnitCount && begins(with: text)
    }

    /// Whether the first bytes are those of `text`.
    public func begins(with text: StaticString) -> Bool { starts(with: text.bytes) }
}

extension [UInt8] {
    /// The bytes of fixed text.
    public init(_ text: StaticString) { self.init(text.bytes) }

    /// Adds fixed text.
    public mutating func append(_ text: StaticString) { append(contentsOf: text.bytes) }
}
