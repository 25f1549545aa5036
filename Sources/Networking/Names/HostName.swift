import Bytes
import Linux

/// A host's name as a program may be told it, in the manner of dns_domain_todot_cat of djbdns: letters,
/// digits, `-`, `_` and the dots between labels stay, every other byte becomes a backslash and three octal
/// digits. Whoever has an address chooses its name, and with it what reaches logs and environments.
func escapedHostName(_ name: ByteString) -> ByteString {
    var escaped: [UInt8] = []
    for byte in name.bytes {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            escaped.append(byte)
        default:
            escaped.append(UInt8(ascii: "\\"))
            for shift in [6, 3, 0] as [UInt8] {
                escaped.append(UInt8(ascii: "0") + byte >> shift & 7)
            }
        }
    }
    return ByteString(escaped)
}
