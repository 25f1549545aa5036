import Bytes

/// An object of JSON, RFC 8259, on one line, its members in the order in which they are added.
public struct JSONObject {
    private var text: [UInt8] = []

    /// One without members.
    public init() {}

    /// All of it.
    public var bytes: [UInt8] { [UInt8]("{") + text + [UInt8]("}") }

    /// Adds text, in which what is neither UTF-8 nor printable stands as `\x1b`; or null.
    public mutating func add(_ key: StaticString, _ value: ByteString?) {
        add(key)
        guard let value else { return text.append("null") }
        text.append(UInt8(ascii: "\""))
        // What would be a control character is visible by now.
        for byte in value.visible.bytes {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                text.append(UInt8(ascii: "\\"))
            }
            text.append(byte)
        }
        text.append(UInt8(ascii: "\""))
    }

    /// Adds a number, or null.
    public mutating func add(_ key: StaticString, number value: Int?) {
        add(key)
        if let value { appendDecimal(value, to: &text) } else { text.append("null") }
    }

    /// Adds true or false.
    public mutating func add(_ key: StaticString, isTrue value: Bool) {
        add(key)
        text.append(value ? "true" : "false")
    }

    /// Adds an object, or null.
    public mutating func add(_ key: StaticString, object value: JSONObject?) {
        add(key)
        if let value { text += value.bytes } else { text.append("null") }
    }

    private mutating func add(_ key: StaticString) {
        if !text.isEmpty { text.append(UInt8(ascii: ",")) }
        text.append(UInt8(ascii: "\""))
        text.append(key)
        text.append("\":")
    }
}
