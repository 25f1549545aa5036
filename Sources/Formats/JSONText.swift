import Bytes

/// Adds a string of JSON, RFC 8259, with its quotes, that says exactly what `bytes` are, as far as JSON can: control
/// characters are escaped, and each byte that is not UTF-8 becomes U+FFFD, the replacement character.
public func appendJSONString(_ bytes: UnsafeRawBufferPointer, to text: inout [UInt8]) {
    text.append(UInt8(ascii: "\""))
    var index = 0
    while index < bytes.count {
        let plain = bytes[index...].prefix { $0.isPlainInJSON }
        text.append(contentsOf: plain)
        index += plain.count
        if index == bytes.count { break }
        let byte = bytes[index]
        if byte < 0x80 {
            appendEscape(of: byte, to: &text)
            index += 1
        } else if let length = characterLength(bytes, index) {
            text.append(contentsOf: bytes[index..<(index + length)])
            index += length
        } else {
            text.append(contentsOf: [0xef, 0xbf, 0xbd])
            index += 1
        }
    }
    text.append(UInt8(ascii: "\""))
}

private func appendEscape(of byte: UInt8, to text: inout [UInt8]) {
    text.append(UInt8(ascii: "\\"))
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): text.append(byte)
    case UInt8(ascii: "\n"): text.append(UInt8(ascii: "n"))
    case UInt8(ascii: "\r"): text.append(UInt8(ascii: "r"))
    case UInt8(ascii: "\t"): text.append(UInt8(ascii: "t"))
    default:
        text.append(UInt8(ascii: "u"))
        appendHexadecimal(byte, width: 4, to: &text)
    }
}

/// The length of the character beyond ASCII that begins at `index` in UTF-8; nil when none does. RFC 3629.
private func characterLength(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> Int? {
    let lead = bytes[index]
    let length: Int
    var second: ClosedRange<UInt8> = 0x80...0xbf
    switch lead {
    case 0xc2...0xdf: length = 2
    case 0xe0...0xef:
        length = 3
        // No longer form of what is shorter, and no surrogates.
        if lead == 0xe0 { second = 0xa0...0xbf }
        if lead == 0xed { second = 0x80...0x9f }
    case 0xf0...0xf4:
        length = 4
        if lead == 0xf0 { second = 0x90...0xbf }
        if lead == 0xf4 { second = 0x80...0x8f }
    default: return nil
    }
    guard bytes.count - index >= length, second.contains(bytes[index + 1]),
        bytes[(index + 2)..<(index + length)].allSatisfy({ $0 & 0xc0 == 0x80 })
    else { return nil }
    return length
}

extension UInt8 {
    /// Whether it stands for itself in a string of JSON, and is no part of a longer character.
    fileprivate var isPlainInJSON: Bool {
        (0x20...0x7e).contains(self) && self != UInt8(ascii: "\"") && self != UInt8(ascii: "\\")
    }
}
