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
        } else if let (_, length) = scanCharacter(bytes[index...]) {
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

extension UInt8 {
    /// Whether it stands for itself in a string of JSON, and is no part of a longer character.
    fileprivate var isPlainInJSON: Bool {
        (0x20...0x7e).contains(self) && self != UInt8(ascii: "\"") && self != UInt8(ascii: "\\")
    }
}
