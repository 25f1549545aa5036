import Bytes

/// Settings of the kernel as sysctl.d(5) writes them.
public struct KernelSetting: Equatable, Sendable {
    /// The file, below /proc/sys.
    public let path: ByteString
    /// What goes into it.
    public let value: ByteString
    /// Whether it may fail without a word: the line begins with `-`.
    public let mayFail: Bool
    /// Where it stands, counted from one.
    public let line: Int

    /// The settings of a file, and the numbers of the lines that are none.
    public static func all(in text: [UInt8]) -> (settings: [KernelSetting], wrongLines: [Int]) {
        var settings: [KernelSetting] = []
        var wrong: [Int] = []
        for line in ConfigurationLine.all(in: text, comments: "#;") {
            let joined = ByteString(line.words, joinedBy: " ")
            let mayFail = joined[0] == UInt8(ascii: "-")
            let text = mayFail ? ByteString(joined.bytes.dropFirst()) : joined
            guard let (name, value) = text.cut(at: UInt8(ascii: "=")),
                let path = path(of: trimmed(name))
            else {
                // `-name` alone takes a name out of a pattern, and there are none here.
                if !mayFail { wrong.append(line.number) }
                continue
            }
            settings.append(
                KernelSetting(
                    path: path, value: trimmed(value), mayFail: mayFail, line: line.number))
        }
        return (settings, wrong)
    }

    /// In `net.ipv4.ip_forward` a dot separates; in `net/ipv4/conf/eth0.1/forwarding` a slash does. The first of them
    /// in a name says which, and then the other stands for itself: sysctl.d(5).
    private static func path(of name: ByteString) -> ByteString? {
        let (dot, slash) = (UInt8(ascii: "."), UInt8(ascii: "/"))
        guard let first = name.bytes.first(where: { $0 == dot || $0 == slash }) else {
            return name.isEmpty ? nil : name
        }
        let path =
            first == slash
            ? name
            : ByteString(name.bytes.map { $0 == dot ? slash : $0 == slash ? dot : $0 })
        let parts = path.parts(separatedBy: slash)
        return parts.contains("..") || parts.contains("") ? nil : path
    }

    private static func trimmed(_ text: ByteString) -> ByteString {
        let blank = UInt8(ascii: " ")
        var bytes = text.bytes.drop { $0 == blank }
        while bytes.last == blank { bytes = bytes.dropLast() }
        return ByteString(bytes)
    }
}
