import Bytes

/// A file of a directory for envdir: a variable by the file's name, with the first line as its value. What
/// the kernel takes for the variable is `NAME=LINE`, of which the name ends at the first `=`.
public struct EnvironmentFile: Equatable, Sendable {
    /// The most bytes of a line that are worth reading: no exec takes a longer string, execve(2).
    public static let lineLimit = 1 << 17

    /// The variable.
    public let variable: ByteString
    /// Its value: without the blanks at the end of the line, and with newlines for its NULs. Nil when the
    /// file is empty, which unsets the variable.
    public let value: ByteString?

    /// Reads the file `name` of this content, of which what follows the first newline does not matter.
    public init(name: ByteString, content: [UInt8]) {
        var text = Array(name.bytes)
        if !content.isEmpty {
            var line = content.prefix { $0 != UInt8(ascii: "\n") }
            while let last = line.last, last == UInt8(ascii: " ") || last == UInt8(ascii: "\t") {
                line.removeLast()
            }
            text.append(UInt8(ascii: "="))
            text += line.map { $0 == 0 ? UInt8(ascii: "\n") : $0 }
        }
        if let split = text.firstIndex(of: UInt8(ascii: "=")) {
            variable = ByteString(text[..<split])
            value = ByteString(text[(split + 1)...])
        } else {
            variable = name
            value = nil
        }
    }
}
