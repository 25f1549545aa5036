import Bytes

/// /proc/swaps, proc(5).
public enum SwapTable {
    /// The files and devices that are swapped to.
    public static func areas(in text: [UInt8]) -> [ByteString] {
        text.split(separator: UInt8(ascii: "\n")).dropFirst().compactMap { line in
            ConfigurationLine.words(of: line).first.map { unescapeOctal($0) }
        }
    }
}
