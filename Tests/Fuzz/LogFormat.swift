import Bytes
import Foundation
import Linux

@testable import Formats
@testable import Logging

/// A format of logs, services and their environment, for tests that read anything as one. Each `take`
/// compares what is read with a plain reading of the manual, or one way of reading with another.
enum LogFormat: String, CaseIterable {
    case chain, environment, label, pattern, script, stamps, status

    /// Reads `bytes`.
    func take(_ bytes: [UInt8]) {
        switch self {
        case .chain: takeChain(bytes)
        case .environment: takeEnvironmentFile(bytes)
        case .label: takeLabels(bytes)
        case .pattern: takePattern(bytes)
        case .script: takeScript(bytes)
        case .stamps: takeStampedLines(bytes)
        case .status: takeStatus(bytes)
        }
    }
}

// MARK: - Files of envdir

/// The bytes are a name, up to the first newline, and the content of its file.
private func takeEnvironmentFile(_ bytes: [UInt8]) {
    let newline = bytes.firstIndex(of: 10) ?? bytes.endIndex
    let name = ByteString(bytes[..<newline])
    let content = Array(bytes[newline...].dropFirst())
    let file = EnvironmentFile(name: name, content: content)
    precondition(!file.variable.contains(UInt8(ascii: "=")), "no name has an equals sign")
    precondition(name.bytes.starts(with: file.variable.bytes), "the variable is another")
    if content.isEmpty && !name.contains(UInt8(ascii: "=")) {
        return precondition(file.variable == name && file.value == nil, "it is not unset")
    }
    var line = content.prefix { $0 != 10 }
    while line.last == 32 || line.last == 9 { line.removeLast() }
    let text = line.map { $0 == 0 ? 10 : $0 }
    guard let value = file.value else { preconditionFailure("a value is missing") }
    var whole = Array(name.bytes)
    if !content.isEmpty { whole += [UInt8(ascii: "=")] + text }
    let found = Array(file.variable.bytes) + [UInt8(ascii: "=")] + Array(value.bytes)
    precondition(found == whole, "another value")
}

// MARK: - Files of chain

/// The bytes are a file. Whatever its words are, a file that has them in quotes has the same.
private func takeChain(_ bytes: [UInt8]) {
    let lines = bytes.count { $0 == 10 } + 1
    do {
        let file = try ChainFile(bytes)
        let values: (ByteString) -> ByteString? = { $0.count > 1 ? "of \($0)" : nil }
        let command = try file.command(values)
        precondition(!command.isEmpty, "there is no program")
        for quote in [UInt8(ascii: "'"), UInt8(ascii: "\"")] {
            let quoted = command.flatMap { word in
                let escape = Array(quote == UInt8(ascii: "'") ? "'\\''".utf8 : "\\\"".utf8)
                let text = word.bytes.flatMap { byte -> [UInt8] in
                    if byte == quote { return escape }
                    let isSpecial = [UInt8(ascii: "\\"), UInt8(ascii: "$"), UInt8(ascii: "`")]
                        .contains(byte)
                    return isSpecial && quote == UInt8(ascii: "\"")
                        ? [UInt8(ascii: "\\"), byte] : [byte]
                }
                return [quote] + text + [quote, UInt8(ascii: "\n")]
            }
            let again = try ChainFile(quoted).command { _ in nil }
            precondition(again == command, "quoted words are others")
        }
    } catch {
        guard let mistake = error as? ChainFile.Mistake else { fatalError("another error") }
        precondition((0...lines).contains(mistake.line), "a line that is not there")
        precondition(mistake.text.visible == mistake.text, "a text that is not for people")
    }
}

// MARK: - Labels

/// The bytes are labels of 25 bytes each as text, and of 12 as bytes.
private func takeLabels(_ bytes: [UInt8]) {
    var labels: [TAI64N] = []
    for start in stride(from: 0, to: bytes.count, by: TAI64N.textCount) {
        let text = bytes[start...].prefix(TAI64N.textCount)
        guard let label = TAI64N(text: text) else {
            let isOne =
                text.count == 25 && text.first == 64
                && text.dropFirst().allSatisfy { "0123456789abcdef".utf8.contains($0) }
            precondition(!isOne, "a label is not read")
            continue
        }
        precondition(label.text == Array(text), "text is not what it was")
        labels.append(label)
    }
    for start in stride(from: 0, to: bytes.count, by: TAI64N.binaryCount) {
        guard let label = TAI64N(binary: bytes[start...].prefix(TAI64N.binaryCount)) else {
            continue
        }
        precondition(
            label.binary == Array(bytes[start...].prefix(12)), "bytes are not what they were")
        precondition(TAI64N(text: label.text) == label, "text and bytes differ")
        labels.append(label)
    }
    for label in labels {
        if let next = label.next {
            precondition(next > label, "the next one is not later")
            precondition(label.text.lexicographicallyPrecedes(next.text), "names are out of order")
        }
        for other in labels {
            precondition(
                (label < other) == label.text.lexicographicallyPrecedes(other.text),
                "the order of names is another than that of times")
        }
    }
}

// MARK: - Patterns

/// The bytes are a pattern, up to the first newline, and a line.
private func takePattern(_ bytes: [UInt8]) {
    let newline = bytes.firstIndex(of: 10) ?? bytes.endIndex
    let pattern = Array(bytes[..<newline])
    let line = Array(bytes[newline...].dropFirst())
    let found = pattern.withUnsafeBytes { pattern in
        line.withUnsafeBytes { Logging.matches(pattern, $0) }
    }
    precondition(found == isMatch(pattern[...], line[...]), "another match")
}

/// The manual, word by word.
private func isMatch(_ pattern: ArraySlice<UInt8>, _ line: ArraySlice<UInt8>) -> Bool {
    var (pattern, line) = (pattern, line)
    while let byte = pattern.popFirst() {
        if byte != UInt8(ascii: "*") {
            if line.popFirst() != byte { return false }
        } else if let next = pattern.first {
            while let first = line.first, first != next { line.removeFirst() }
            if line.isEmpty { return false }
        } else {
            return true
        }
    }
    return line.isEmpty
}

// MARK: - Scripts

/// The bytes are the words of a script, a line each.
private func takeScript(_ bytes: [UInt8]) {
    let words = bytes.split(separator: 10, omittingEmptySubsequences: false).map { ByteString($0) }
    let script = LogScript(words)
    var expected: [LogScript.Step] = []
    var patterns: [UInt8] = []
    var (files, directories) = (0, 0)
    var size = 99999
    for word in words {
        let value = Array(word.bytes.dropFirst())
        switch word.bytes.first.map({ UnicodeScalar($0) }) {
        case "+":
            expected.append(.select(patterns.count..<(patterns.count + value.count)))
            patterns += value
        case "-":
            expected.append(.deselect(patterns.count..<(patterns.count + value.count)))
            patterns += value
        case "e": expected.append(.show)
        case "=":
            precondition(Array(script.statusFiles[files].bytes) == value, "another status file")
            expected.append(.keep(files))
            files += 1
        case "s":
            let digits = value.prefix { (48...57).contains($0) }.drop { $0 == 48 }
            // More digits than this may wrap.
            if digits.count < 18 {
                let number = digits.reduce(0) { $0 * 10 + Int($1 - 48) }
                size = min(max(number, 4096), 16_777_215)
            } else {
                size = -1
            }
        case "1":
            if !value.isEmpty { continue }
            precondition(script.directories[directories].path == word, "another output")
            expected.append(.write(directories))
            directories += 1
        case ".", "/":
            let settings = script.directories[directories]
            precondition(settings.path == word, "another directory")
            precondition((4096...16_777_215).contains(settings.size), "a size out of range")
            precondition(size < 0 || settings.size == size, "another size")
            precondition(settings.count >= 2, "too few files")
            expected.append(.write(directories))
            directories += 1
        default: break
        }
    }
    precondition(script.steps == expected, "other steps")
    precondition(script.patterns == patterns, "other patterns")
    precondition(script.statusFiles.count == files && script.directories.count == directories)
    precondition(script.stampsLines == (words.first?.bytes.first == UInt8(ascii: "t")))
}

// MARK: - Stamped lines

/// The bytes are lines for tai64nlocal. However they are cut into blocks, the same comes out, and whatever
/// is no label is passed on.
private func takeStampedLines(_ bytes: [UInt8]) {
    let whole = localTimes(bytes, by: max(bytes.count, 1))
    precondition(whole == localTimes(bytes, by: 1), "the blocks make a difference")
    let lines = bytes.split(separator: 10, omittingEmptySubsequences: false)
    let found = whole.split(separator: 10, omittingEmptySubsequences: false)
    precondition(lines.count == found.count, "another number of lines")
    for (line, found) in zip(lines, found) {
        guard let label = TAI64N(text: line.prefix(25)), line.count == 25 || !isDigit(line, 25)
        else {
            if line.first != UInt8(ascii: "@") { precondition(line == found, "a line was changed") }
            continue
        }
        precondition(found.suffix(line.count - 25) == line.dropFirst(25), "a line was changed")
        var seconds = time_t(label.unixSeconds)
        var fields = tm()
        guard localtime_r(&seconds, &fields) != nil, (0...8099).contains(fields.tm_year) else {
            continue
        }
        let expected = String(
            format: "%d-%02d-%02d %02d:%02d:%02d.%09u", Int(fields.tm_year) + 1900,
            Int(fields.tm_mon) + 1, Int(fields.tm_mday), Int(fields.tm_hour), Int(fields.tm_min),
            Int(fields.tm_sec), label.nanoseconds)
        precondition(
            found.prefix(found.count - (line.count - 25)).elementsEqual(expected.utf8),
            "another time")
    }
}

private func isDigit(_ line: ArraySlice<UInt8>, _ offset: Int) -> Bool {
    "0123456789abcdef".utf8.contains(line[line.startIndex + offset])
}

private func localTimes(_ bytes: [UInt8], by size: Int) -> [UInt8] {
    do {
        let file = try makeMemoryFile("fuzz")
        var filter = LocalTimeFilter()
        var output = try BufferedOutput(file.number)
        var rest = bytes[...]
        while !rest.isEmpty {
            try Array(rest.prefix(size)).withUnsafeBytes { try filter.take($0, &output) }
            rest = rest.dropFirst(size)
        }
        try filter.end(&output)
        try output.flush()
        try seek(file, to: 0)
        return try contents(of: file.number, limit: 1 << 20)
    } catch { preconditionFailure("a file in memory fails") }
}

// MARK: - Status records

private func takeStatus(_ bytes: [UInt8]) {
    guard let status = StatusRecord(bytes) else {
        return precondition(bytes.count < StatusRecord.byteCount, "a record is not read")
    }
    precondition(bytes.count >= StatusRecord.byteCount, "a record was made up")
    var expected = Array(bytes.prefix(StatusRecord.byteCount))
    expected[16] = expected[16] == 0 ? 0 : 1
    let written = status.bytes
    precondition(written.starts(with: expected), "the bytes are not what they were")
    precondition(StatusRecord(written) == status, "the record is not what it was")
    guard let details = status.details else {
        return precondition(written == expected, "details were made up")
    }
    check(details, of: bytes, written: written)
}

private func check(_ details: StatusDetails, of bytes: [UInt8], written: [UInt8]) {
    precondition(bytes.count >= 45 && bytes[20] == 1, "details of another program")
    precondition(
        details.state.rawValue == bytes[21] && details.reason.rawValue == bytes[23], "another state"
    )
    precondition(details.isReady == (bytes[22] & 1 != 0), "another readiness")
    precondition((details.lastEnd != nil) == (bytes[22] & 2 != 0), "another end")
    precondition(written[28..<32] == bytes[28..<32], "another number of starts")
    let text = bytes[45...].prefix(min(Int(bytes[44]), StatusDetails.longestText))
    precondition(details.text == ByteString(text), "another text")
    precondition(written[45...].elementsEqual(details.text.bytes), "the text is written otherwise")
    precondition(written.count <= StatusRecord.longest, "too long")
}
