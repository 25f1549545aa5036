import Bytes
import Formats

/// Why a snapshot cannot be restored.
public enum SnapshotError: Error, Equatable {
    /// It was written by another version.
    case version
    /// It is cut off, or its bytes do not add up.
    case damaged
}

/// Writes the parts of a snapshot: whole numbers in as many bytes as they have, little-endian; text with its length.
package struct SnapshotWriter {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    package mutating func write<Number: FixedWidthInteger>(_ number: Number) {
        for shift in stride(from: 0, to: Number.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: number >> shift))
        }
    }

    package mutating func write(_ flag: Bool) { bytes.append(flag ? 1 : 0) }

    package mutating func write(_ text: ByteString) {
        write(UInt32(text.count))
        bytes += text.bytes
    }

    package mutating func write<Part>(_ part: Part?, _ body: (inout SnapshotWriter, Part) -> Void) {
        write(part != nil)
        if let part { body(&self, part) }
    }

    package mutating func write<Part>(_ list: [Part], _ body: (inout SnapshotWriter, Part) -> Void)
    {
        write(UInt32(list.count))
        for part in list { body(&self, part) }
    }
}

/// Reads what `SnapshotWriter` wrote, and believes none of it.
package struct SnapshotReader {
    private var rest: ArraySlice<UInt8>

    package init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    package var isAtEnd: Bool { rest.isEmpty }

    package mutating func number<Number: FixedWidthInteger>(_: Number.Type = Number.self)
        throws(SnapshotError) -> Number
    {
        let size = Number.bitWidth / 8
        guard rest.count >= size else { throw .damaged }
        var number: Number = 0
        for (place, byte) in rest.prefix(size).enumerated() {
            number |= Number(truncatingIfNeeded: byte) << (8 * place)
        }
        rest = rest.dropFirst(size)
        return number
    }

    package mutating func flag() throws(SnapshotError) -> Bool {
        switch try number(UInt8.self) {
        case 0: return false
        case 1: return true
        default: throw .damaged
        }
    }

    package mutating func text() throws(SnapshotError) -> ByteString {
        let count = Int(try number(UInt32.self))
        guard count <= rest.count else { throw .damaged }
        let text = ByteString(rest.prefix(count))
        guard text.count == count else { throw .damaged }
        rest = rest.dropFirst(count)
        return text
    }

    package mutating func optional<Part>(
        _ body: (inout SnapshotReader) throws(SnapshotError) -> Part
    ) throws(SnapshotError) -> Part? { try flag() ? try body(&self) : nil }

    package mutating func list<Part>(
        _ body: (inout SnapshotReader) throws(SnapshotError) -> Part
    ) throws(SnapshotError) -> [Part] {
        let count = Int(try number(UInt32.self))
        // Every part takes a byte at least.
        guard count <= rest.count else { throw .damaged }
        var parts: [Part] = []
        for _ in 0..<count { parts.append(try body(&self)) }
        return parts
    }
}
