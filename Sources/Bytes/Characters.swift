/// The character beyond ASCII that `bytes` begin with in UTF-8, and how many bytes it has; nil when there is none.
/// RFC 3629.
public func scanCharacter(_ bytes: some RandomAccessCollection<UInt8>) -> (
    code: UInt32, length: Int
)? {
    guard let lead = bytes.first else { return nil }
    let (length, least): (Int, UInt32)
    switch lead {
    case 0xc2...0xdf: (length, least) = (2, 0x80)
    case 0xe0...0xef: (length, least) = (3, 0x800)
    case 0xf0...0xf4: (length, least) = (4, 0x10000)
    default: return nil
    }
    guard bytes.count >= length else { return nil }
    var code = UInt32(lead) & (0x7f >> UInt32(length))
    for byte in bytes.dropFirst().prefix(length - 1) {
        guard byte & 0xc0 == 0x80 else { return nil }
        code = code << 6 | UInt32(byte & 0x3f)
    }
    // No longer form of what is shorter, no surrogates, and nothing beyond the last one.
    switch code {
    case ..<least, 0xd800...0xdfff, 0x110000...: return nil
    default: return (code, length)
    }
}
