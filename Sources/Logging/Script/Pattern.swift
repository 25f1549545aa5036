import Bytes
import Linux

/// Whether the whole of `line` matches `pattern`. A star at the end of the pattern matches the rest of
/// the line; any other skips to the first occurrence of the byte that follows it, and never looks for
/// a later one. Every other byte stands for itself.
public func matches(_ pattern: UnsafeRawBufferPointer, _ line: UnsafeRawBufferPointer) -> Bool {
    let star = UInt8(ascii: "*")
    var rest = line[...]
    var index = 0
    while index < pattern.count {
        let byte = pattern[index]
        index += 1
        if byte == star {
            guard index < pattern.count else { return true }
            guard
                let skipped = offset(of: pattern[index], in: UnsafeRawBufferPointer(rebasing: rest))
            else { return false }
            rest = rest.dropFirst(skipped)
        } else {
            guard rest.first == byte else { return false }
            rest = rest.dropFirst()
        }
    }
    return rest.isEmpty
}
