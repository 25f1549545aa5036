import Bytes

/// What is wrong in a service directory's files.
public struct DefinitionProblem: Equatable, Sendable {
    /// The file, from the scan directory: `web/settings`.
    public let file: ByteString
    /// The line, counted from 1; 0 for the file as a whole.
    public let line: Int
    /// What is wrong, for people.
    public let text: ByteString

    /// A problem of a line, or of a file as a whole.
    public init(file: ByteString, line: Int = 0, text: ByteString) {
        self.file = file
        self.line = line
        self.text = text
    }

    /// `web/settings:3: TEXT`, or without the line where there is none.
    public var description: ByteString {
        line == 0 ? "\(file.visible): \(text)" : "\(file.visible):\(line): \(text)"
    }
}
