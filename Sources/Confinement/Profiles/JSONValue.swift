import Bytes
import CJansson
import Commands
import Linux

/// A value of a JSON document, and its place for messages.
final class JSONValue {
    indirect enum Content {
        case object([(name: ByteString, value: JSONValue)])
        case array([JSONValue])
        case text(ByteString)
        case number(UInt64)
        /// Booleans, and numbers that are negative or have a fraction. No field takes them.
        case other
    }

    let content: Content
    /// The file's name and, as in JavaScript, how to get here from the outermost value.
    let place: ByteString

    /// Reads a document through jansson; `file` is its name in messages.
    static func parse(_ text: [UInt8], file: ByteString) throws(Failure) -> JSONValue {
        let text = quotedGiants(text)
        var error = json_error_t()
        let root = text.withUnsafeBytes {
            json_loadb($0.baseAddress, $0.count, Int(JSON_REJECT_DUPLICATES), &error)
        }
        guard let root else {
            let message = withUnsafeBytes(of: &error.text) { ByteString($0) }
            throw Failure("\(file):\(error.line):\(error.column): \(message)", exitCode: 100)
        }
        defer { json_decref(root) }
        return JSONValue(root, "\(file): ")
    }

    private init(_ value: UnsafeMutablePointer<json_t>, _ place: ByteString) {
        self.place = place
        switch value.pointee.type {
        case JSON_OBJECT: content = .object(JSONValue.members(value, place))
        case JSON_ARRAY:
            var elements: [JSONValue] = []
            while let element = json_array_get(value, elements.count) {
                elements.append(JSONValue(element, "\(place)[\(elements.count)]"))
            }
            content = .array(elements)
        case JSON_STRING:
            content = .text(json_string_value(value).map { ByteString(cString: $0) } ?? "")
        case JSON_INTEGER where json_integer_value(value) >= 0:
            content = .number(UInt64(json_integer_value(value)))
        default: content = .other
        }
    }

    /// The members of an object. Those that are null count as missing.
    private static func members(_ object: UnsafeMutablePointer<json_t>, _ place: ByteString)
        -> [(name: ByteString, value: JSONValue)]
    {
        var members: [(name: ByteString, value: JSONValue)] = []
        var next = json_object_iter(object)
        while let member = next {
            next = json_object_iter_next(object, member)
            guard let name = json_object_iter_key(member),
                let value = json_object_iter_value(member), value.pointee.type != JSON_NULL
            else { continue }
            let dot = place.bytes.last == UInt8(ascii: " ") ? "" : "." as ByteString
            let key = ByteString(cString: name)
            members.append((key, JSONValue(value, "\(place)\(dot)\(key)")))
        }
        return members
    }

    /// A mistake at this place, exit code 100.
    func mistake(_ text: ByteString) -> Failure {
        let end = place.bytes.last == UInt8(ascii: " ") ? "" : ": " as ByteString
        return Failure("\(place)\(end)\(text)", exitCode: 100)
    }

    /// The members of an object that has none but those that `Field` names.
    func fields<Field: NamedCase>(_: Field.Type) throws(Failure) -> JSONFields<Field> {
        guard case .object(let members) = content else { throw mistake("not an object") }
        var fields = JSONFields<Field>()
        for (name, value) in members {
            guard let field = Field(named: name) else { throw value.mistake("unknown field") }
            fields.set(field, value)
        }
        return fields
    }

    /// The elements of an array.
    func elements() throws(Failure) -> [JSONValue] {
        guard case .array(let elements) = content else { throw mistake("not an array") }
        return elements
    }

    /// A string.
    func text() throws(Failure) -> ByteString {
        guard case .text(let text) = content else { throw mistake("not a string") }
        return text
    }

    /// A string that is `prefix` and a name of one of `Choice`, `what` in messages.
    func choice<Choice: NamedCase>(
        _: Choice.Type, _ prefix: ByteString, _ what: StaticString
    ) throws(Failure) -> Choice {
        let text = try text()
        guard text.hasPrefix(prefix),
            let choice = Choice(named: ByteString(text.bytes.dropFirst(prefix.count)))
        else { throw mistake("unknown \(what) \(text)") }
        return choice
    }

    /// A number without sign, of 64 bits.
    func number() throws(Failure) -> UInt64 {
        if case .number(let number) = content { return number }
        if case .text(let text) = content, text.hasPrefix(giantMark),
            let number = parseNumber(ByteString(text.bytes.dropFirst(giantMark.count)))
        {
            return number
        }
        throw mistake("not a number from 0 to 18446744073709551615")
    }
}

/// The members of an object, by the fields that it may have.
struct JSONFields<Field: NamedCase> {
    private var members: [(field: Field, value: JSONValue)] = []

    /// A field's value; nil when the object does not have it.
    subscript(field: Field) -> JSONValue? { members.first { $0.field == field }?.value }

    /// Gives a field, which has none yet, its value.
    fileprivate mutating func set(_ field: Field, _ value: JSONValue) {
        members.append((field, value))
    }
}

/// Marks a number that was made a string.
private let giantMark: ByteString = "number "

/// jansson reads integers as signed; masks of 64 bits are unsigned. So numbers of 19 and more digits become
/// strings with a mark that no other string of a profile begins with.
private func quotedGiants(_ text: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var isInString = false
    var index = 0
    while index < text.count {
        let digits = isInString ? 0 : text[index...].prefix { (48...57).contains($0) }.count
        if digits >= 19 && text[index] != UInt8(ascii: "0") {
            result += [UInt8(ascii: "\"")] + giantMark.bytes + text[index..<(index + digits)]
            result.append(UInt8(ascii: "\""))
        } else {
            result += text[index..<(index + max(digits, 1))]
        }
        if text[index] == UInt8(ascii: "\"") { isInString.toggle() }
        index += max(digits, 1)
        if isInString && text[index - 1] == UInt8(ascii: "\\") && index < text.count {
            result.append(text[index])
            index += 1
        }
    }
    return result
}
