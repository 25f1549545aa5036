import Linux

/// The words of a text with one blank between each two. Tables of names are such texts: an array of
/// them would be built by code, which takes several times their room.
func words(of text: StaticString) -> [ByteString] {
    UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        .split(separator: UInt8(ascii: " ")).map { ByteString($0) }
}

/// Which of the words of `text` it is, counted from 0; nil when it is none.
func position(of word: ByteString, in text: StaticString) -> Int? {
    words(of: text).firstIndex(of: word)
}
