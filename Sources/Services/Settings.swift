import Bytes

/// The file `settings` of a service directory: what a service asks for besides the files that others know.
///
/// A line has one setting: its name, then its values, separated by blanks. A word that has blanks in it, or begins
/// with `#`, stands in double quotes, where `\"` and `\\` stand for `"` and `\`. What begins with `#` is a comment.
/// The order of the lines has no meaning: a setting that has one value may stand once, and what several lines say of
/// one that is a list adds up. A mistake costs its line, and no other.
public struct Settings: Equatable, Sendable {
    /// What is wrong in a line.
    public struct Problem: Equatable, Sendable {
        /// The line, counted from 1.
        public let line: Int
        /// What is wrong, for people.
        public let text: ByteString
    }

    /// A line with a setting.
    struct Line: Equatable, Sendable {
        let number: Int
        let name: SettingName
        /// The values. A command is one, as a shell is to read it.
        let words: [ByteString]
    }

    /// No more mistakes than this are looked for: whoever makes them does not read them.
    static let mostProblems = 100

    /// What a service is given is bounded.
    public static let mostSockets = 64
    /// So is what it may leave.
    public static let mostStored = 1024

    private(set) var lines: [Line] = []
    private var mistakes: [Problem] = []

    /// Reads a file of this content.
    public init(_ content: [UInt8]) {
        var number = 0
        var rest = content[...]
        var places: [Int?] = Array(repeating: nil, count: SettingName.allCases.count)
        if rest.starts(with: [0xef, 0xbb, 0xbf]) {
            // Nobody would see it in the name of a setting.
            mistakes.append(Problem(line: 1, text: "there is a byte order mark before the line"))
            rest = rest.dropFirst(3)
        }
        while !rest.isEmpty {
            number += 1
            let line = rest.prefix { $0 != UInt8(ascii: "\n") }
            rest = rest[line.endIndex...].dropFirst()
            do throws(SettingMistake) {
                guard let line = try Settings.read(line, number) else { continue }
                let index = Int(line.name.rawValue)
                if let place = places[index], !line.name.isList {
                    throw SettingMistake("\"\(line.name.word)\" is set in line \(place) already")
                }
                places[index] = places[index] ?? number
                lines.append(line)
            } catch {
                mistakes.append(Problem(line: number, text: error.text))
                if mistakes.count >= Settings.mostProblems { return }
            }
        }
    }

    /// Makes the definition one that asks for this too, and returns all that is wrong, by line.
    public func apply(to definition: inout ServiceDefinition) -> [Problem] {
        var problems = mistakes
        for line in lines {
            do throws(SettingMistake) { try line.apply(to: &definition) } catch {
                problems.insert(Problem(line: line.number, text: error.text))
            }
        }
        for line in lines {
            if let text = conflict(of: line, definition) {
                problems.insert(Problem(line: line.number, text: text))
            }
        }
        return problems
    }

    /// Whether a setting stands in a line that could be read.
    public func contains(_ name: SettingName) -> Bool { lines.contains { $0.name == name } }

    /// The first line with the setting spelled `setting` that has `word` among its values, or else with the setting;
    /// nil when there is none.
    public func line(of setting: ByteString, naming word: ByteString) -> Int? {
        let found = lines.filter { $0.name.word == setting }
        return (found.first { $0.words.contains(word) } ?? found.first)?.number
    }

    /// Whether `name` can be that of a service: that of an entry of a scan directory which is not hidden.
    public static func isServiceName(_ name: ByteString) -> Bool {
        !name.isEmpty && name.count <= 255 && !name.hasPrefix(".")
            && !name.contains(UInt8(ascii: "/")) && !name.contains(UInt8(ascii: "\n"))
    }

    /// Whether a socket would be given to the service at the number of its notification descriptor.
    private func collides(_ definition: ServiceDefinition) -> Bool {
        guard case .descriptor(let number) = definition.readiness else { return false }
        return number < 3 + Int32(clamping: definition.sockets.count)
    }

    /// What a line says that goes with nothing else the service asks for.
    private func conflict(of line: Line, _ definition: ServiceDefinition) -> ByteString? {
        if !line.name.suits(definition.kind) {
            let kind: ByteString =
                switch definition.kind {
                case .longrun: "longrun"
                case .oneshot: "oneshot"
                case .bundle: "bundle"
                }
            return "\"\(line.name.word)\" says nothing of a \(kind)"
        }
        switch line.name {
        case .startOnConnection where definition.sockets.isEmpty:
            return "\"start-on-connection\" wants a \"listen\""
        case .listen where collides(definition):
            return "its descriptors, from 3 on, collide with the one of \"ready notification-fd\""
        case .watchdog where definition.readiness != .notify:
            return "\"watchdog\" wants \"ready notify\""
        case .readyFailure where definition.readyLimit == nil:
            return "\"ready-failure\" wants a \"ready-timeout\""
        case .readyTimeout where definition.readiness == .start && definition.readyLimit != nil:
            return "\"ready-timeout\" wants a \"ready\" other than start"
        default: return nil
        }
    }
}

extension [Settings.Problem] {
    /// Adds a problem after those of its line and of the lines before, unless there are enough.
    fileprivate mutating func insert(_ problem: Settings.Problem) {
        if count >= Settings.mostProblems { return }
        var place = count
        while place > 0, self[place - 1].line > problem.line { place -= 1 }
        insert(problem, at: place)
    }
}

/// Why a line says nothing.
struct SettingMistake: Error {
    let text: ByteString

    init(_ text: ByteString) { self.text = text }
}

extension Settings {
    /// What a line says; nil for one that has no words.
    private static func read(_ line: ArraySlice<UInt8>, _ number: Int) throws(SettingMistake)
        -> Line?
    {
        if line.contains(0) { throw SettingMistake("there is a NUL byte in the line") }
        if line.last == UInt8(ascii: "\r") { throw SettingMistake("the line ends in CR LF") }
        var scanner = WordScanner(line)
        guard let first = try scanner.next() else { return nil }
        guard let name = SettingName(named: first) else {
            let meant = hint(SettingName.nearest(to: first))
            throw SettingMistake("unknown setting \"\(first.visible)\"\(meant)")
        }
        var words: [ByteString] = []
        while let word = try scanner.next() {
            words.append(word)
            if name == .ready && words == ["command"] {
                words += command(scanner)
                break
            }
        }
        return Line(number: number, name: name, words: words)
    }

    /// The rest of a line as a command. Quotes and comments in it are the shell's, unless it is one word.
    private static func command(_ scanner: WordScanner) -> [ByteString] {
        var words = scanner
        do throws(SettingMistake) {
            guard let word = try words.next() else { return [] }
            if try words.next() == nil { return [word] }
        } catch {
            // A shell may well understand it.
        }
        return [scanner.restOfLine]
    }
}

/// Takes the words from a line.
private struct WordScanner {
    private static let blanks: [UInt8] = [UInt8(ascii: " "), UInt8(ascii: "\t")]

    private var rest: ArraySlice<UInt8>

    init(_ line: ArraySlice<UInt8>) { rest = line }

    /// What is left, without blanks around it.
    var restOfLine: ByteString {
        var text = rest.drop { WordScanner.blanks.contains($0) }
        while let last = text.last, WordScanner.blanks.contains(last) { text.removeLast() }
        return ByteString(text)
    }

    /// The next word; nil at the end of the line, or of what is no comment.
    mutating func next() throws(SettingMistake) -> ByteString? {
        rest = rest.drop { WordScanner.blanks.contains($0) }
        guard let first = rest.first, first != UInt8(ascii: "#") else { return nil }
        if first == UInt8(ascii: "\"") { return try quoted() }
        let word = rest.prefix { !WordScanner.blanks.contains($0) }
        rest = rest[word.endIndex...]
        return ByteString(word)
    }

    private mutating func quoted() throws(SettingMistake) -> ByteString {
        var word: [UInt8] = []
        rest = rest.dropFirst()
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\""):
                if let next = rest.first, !WordScanner.blanks.contains(next) {
                    throw SettingMistake("no blank follows the closing quote")
                }
                return ByteString(word)
            case UInt8(ascii: "\\")
            where rest.first == UInt8(ascii: "\"") || rest.first == UInt8(ascii: "\\"):
                if let next = rest.popFirst() { word.append(next) }
            default: word.append(byte)
            }
        }
        throw SettingMistake("a quote is not closed")
    }
}
