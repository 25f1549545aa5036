import Bytes

/// What a line of a service looks like among those of others.
public enum ServiceLineForm: Equatable, Sendable {
    /// After the service's name, which has a colour on a terminal: `web: the line`.
    case named(inColour: Bool)
    /// As an object: `{"time":"2026-11-27T09:00:00.000000000Z","service":"web","line":"the line"}`.
    case json

    /// What is put before each line of the service called `name`; in an object it follows the time.
    public func label(_ name: ByteString) -> [UInt8] {
        switch self {
        case .named(inColour: false): return Array(name.visible.bytes) + [UInt8](": ")
        case .named(inColour: true):
            // The six colours that can be read on black and on white; the same name has the same one.
            let sum = name.bytes.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xffff }
            let colour: ByteString = "\u{1b}[\(31 + sum % 6)m\(name.visible):\u{1b}[0m "
            return Array(colour.bytes)
        case .json:
            var text = [UInt8]("\",\"service\":")
            Array(name.bytes).withUnsafeBytes { appendJSONString($0, to: &text) }
            return text + [UInt8](",\"line\":")
        }
    }

    /// Adds a line, which comes without its newline, with one. `time` is now, as RFC 3339 has it.
    public func append(
        _ line: UnsafeRawBufferPointer, label: [UInt8], time: [UInt8], to text: inout [UInt8]
    ) {
        if self == .json {
            text.append("{\"time\":\"")
            text += time
            text += label
            appendJSONString(line, to: &text)
            text.append("}\n")
        } else {
            text += label
            text.append(contentsOf: line)
            text.append(UInt8(ascii: "\n"))
        }
    }

    /// The time for lines; empty where they have none.
    public func time(_ now: TAI64N) -> [UInt8] {
        self == .json ? now.utc.map { Array($0.bytes) } ?? [] : []
    }

    /// A whole line of this form.
    public func line(_ text: ByteString, of name: ByteString, at now: TAI64N) -> [UInt8] {
        var line: [UInt8] = []
        Array(text.bytes).withUnsafeBytes {
            append($0, label: label(name), time: time(now), to: &line)
        }
        return line
    }
}
