/// Words of a fixed text, separated by single blanks, each with its place: a table of names that takes
/// no more room than the names do.
public struct WordList: Sendable {
    private let text: StaticString

    /// The words of `text`.
    public init(_ text: StaticString) { self.text = text }

    private var parts: [Slice<UnsafeBufferPointer<UInt8>>] {
        UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
            .split(separator: UInt8(ascii: " "))
    }

    /// The words, in order.
    public var words: [ByteString] { parts.map { ByteString($0) } }

    /// The place of `word`, counted from zero; nil when it is not among them.
    public func index(of word: ByteString) -> Int? {
        let text = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        let word = word.bytes
        var start = 0
        var index = 0
        while start < text.count {
            let end = text[start...].firstIndex(of: UInt8(ascii: " ")) ?? text.count
            if end - start == word.count && text[start..<end].elementsEqual(word) { return index }
            // Two blanks in a row are as one.
            if end > start { index += 1 }
            start = end + 1
        }
        return nil
    }

    /// The word at a place, which must be there.
    public subscript(index: Int) -> ByteString { ByteString(parts[index]) }
}
