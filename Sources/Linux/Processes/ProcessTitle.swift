import Bytes
import CLinux

/// The last word of this process's command line, in the very memory that ps(1) shows. It may be
/// overwritten, but not grow.
public struct LastWord {
    /// Its bytes, without the closing NUL.
    public let memory: UnsafeMutableRawBufferPointer

    /// Finds the words given, which must be the last ones of the command line; nil when they are not
    /// where the kernel put them.
    public init?(of words: [ByteString]) {
        guard let last = words.last, var word = UnsafeMutablePointer(cl_program_name()) else {
            return nil
        }
        // The binary may have been called by its own name, with the program's as the next word.
        if let first = words.first, !LastWord.is(word, first) { word += strlen(word) + 1 }
        for (index, expected) in words.enumerated() {
            if !LastWord.is(word, expected) { return nil }
            if index < words.count - 1 { word += expected.count + 1 }
        }
        memory = UnsafeMutableRawBufferPointer(start: word, count: last.count)
    }

    private static func `is`(_ word: UnsafePointer<CChar>, _ expected: ByteString) -> Bool {
        expected.withCString { strcmp(word, $0) } == 0
    }
}
