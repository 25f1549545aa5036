extension ByteString {
    /// The text as people may see it, on one line and without anything that a terminal would act on:
    /// bytes that are neither printable ASCII nor part of a printable character in UTF-8 stand as `\n` or
    /// `\x1b`, in the manner of C. For names that others chose.
    public var visible: ByteString {
        if bytes.allSatisfy({ $0.isPrintableASCII }) { return self }
        var text: [UInt8] = []
        var rest = bytes[...]
        while let byte = rest.first {
            let length = byte.isPrintableASCII ? 1 : ByteString.characterLength(rest)
            if length > 0 {
                text += rest.prefix(length)
            } else {
                text += ByteString.escape(byte)
            }
            rest = rest.dropFirst(max(length, 1))
        }
        return ByteString(text)
    }

    /// The text where it may be long, and its beginning tells enough: after 80 bytes of it stands `...`. For what is no
    /// name at all, but stands where one should.
    public var excerpt: ByteString {
        if count <= 80 { return visible }
        // No character is cut in two.
        var beginning = bytes.prefix(80)
        while beginning.count > 77, bytes[beginning.endIndex] & 0xc0 == 0x80 {
            beginning = beginning.dropLast()
        }
        return ByteString(ByteString(beginning).visible.bytes + "...".utf8)
    }

    /// The length of the character beyond ASCII that `bytes` begin with in UTF-8; 0 when they do not, or
    /// when it is a control character.
    private static func characterLength(_ bytes: ArraySlice<UInt8>) -> Int {
        guard let (code, length) = scanCharacter(bytes) else { return 0 }
        switch code {
        case ..<0xa0: return 0
        // Line and paragraph separators, and what turns the direction of writing.
        case 0x2028...0x202e, 0x2066...0x2069: return 0
        default: return length
        }
    }

    private static func escape(_ byte: UInt8) -> [UInt8] {
        switch byte {
        case UInt8(ascii: "\n"): return Array("\\n".utf8)
        case UInt8(ascii: "\r"): return Array("\\r".utf8)
        case UInt8(ascii: "\t"): return Array("\\t".utf8)
        default:
            var text = Array("\\x".utf8)
            appendHexadecimal(byte, width: 2, to: &text)
            return text
        }
    }
}

extension UInt8 {
    fileprivate var isPrintableASCII: Bool { (0x20...0x7e).contains(self) }
}
