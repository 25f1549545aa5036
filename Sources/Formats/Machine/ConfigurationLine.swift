import Bytes

/// A line of a file that a person wrote: its number, and its words. Blank lines and comments are none.
public struct ConfigurationLine: Equatable, Sendable {
    /// Counted from one.
    public let number: Int
    /// What stands between blanks, at least one word.
    public let words: [ByteString]

    /// The lines of `text`. A line whose first word begins with `#`, or with one of `comments`, is a comment.
    public static func all(in text: [UInt8], comments: StaticString = "#") -> [ConfigurationLine] {
        var lines: [ConfigurationLine] = []
        let marks = ByteString(comments)
        for (index, line) in text.split(
            separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false
        ).enumerated() {
            let words = ConfigurationLine.words(of: line)
            guard let first = words.first, !marks.contains(first[0]) else { continue }
            lines.append(ConfigurationLine(number: index + 1, words: words))
        }
        return lines
    }

    /// What stands between blanks, tabs and carriage returns.
    static func words(of line: ArraySlice<UInt8>) -> [ByteString] {
        line.split {
            $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r")
        }
        .map { ByteString($0) }
    }
}
