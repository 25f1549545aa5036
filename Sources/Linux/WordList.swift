/// Words of a fixed text, separated by single blanks, each with its place: a table of names that takes
/// no more room than the names do.
public struct WordList: Sendable {
    private let text: StaticString

    /// The words of `text`.
    public init(_ text: StaticString) { self.text = text }

    /// The words, in order.
    public var words: [ByteString] {
        ByteString(text).parts(separatedBy: UInt8(ascii: " "))
    }

    /// The place of `word`, counted from zero; nil when it is not among them.
    public func index(of word: ByteString) -> Int? { words.firstIndex(of: word) }

    /// The word at a place, which must be there.
    public subscript(index: Int) -> ByteString { words[index] }
}
