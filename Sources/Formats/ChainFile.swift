import Bytes

/// A file for chain(8): one command, over as many lines as it takes.
///
/// Words are separated by blanks and newlines. Single quotes keep everything, double quotes everything but `${…}` and a
/// backslash before `"`, `\`, `$` or a newline; outside them a backslash keeps the byte after it, and joins two lines.
/// `#` where a word could begin starts a comment. `${NAME}` stands for a variable and `${1}` for an argument, and what it
/// stands for is never looked at again. What a shell would take for more than a word is a mistake unless it is quoted: so
/// whatever is read here, a shell reads alike, if its lines are joined and its variables are in double quotes.
public struct ChainFile: Equatable, Sendable {
    /// Why a file cannot be used.
    public struct Mistake: Error, Equatable {
        /// The line, counted from 1; 0 for the file as a whole.
        public let line: Int
        /// What is wrong, for people.
        public let text: ByteString
    }

    /// A part of a word.
    enum Part: Equatable, Sendable {
        /// Bytes as they are.
        case text([UInt8])
        /// What the variable, or the argument of that number, has, named in that line.
        case value(of: ByteString, line: Int)
    }

    /// The words; at least one.
    let words: [[Part]]

    /// Reads a file of this content.
    public init(_ content: [UInt8]) throws(Mistake) {
        var reader = ChainReader(content)
        var words: [[Part]] = []
        while let word = try reader.next() { words.append(word) }
        if words.isEmpty { throw Mistake(line: 0, text: "there is no command in it") }
        self.words = words
    }

    /// Whether the first line of a file of this content names chain(8) as its interpreter.
    public static func isInterpreter(of content: [UInt8]) -> Bool {
        guard content.starts(with: "#!".utf8) else { return false }
        let line = content.dropFirst(2).prefix { $0 != UInt8(ascii: "\n") }
        let words = line.split { $0.isBlank }.map { ByteString($0).lastComponent }
        if words.first == "chain" { return true }
        return words.count > 1 && words[1] == "chain" && (words[0] == "apus" || words[0] == "env")
    }

    /// The command. `value` tells what a variable has, or an argument by its number; what has nothing is a mistake.
    public func command(_ value: (ByteString) -> ByteString?) throws(Mistake) -> [ByteString] {
        var command: [ByteString] = []
        for word in words {
            var bytes: [UInt8] = []
            for part in word {
                switch part {
                case .text(let text): bytes += text
                case .value(let name, let line):
                    guard let found = value(name) else {
                        let isNumber = name[0].isDigit
                        throw Mistake(
                            line: line,
                            text: isNumber
                                ? "there is no argument ${\(name)}" : "${\(name)} is not set")
                    }
                    bytes += found.bytes
                }
            }
            command.append(ByteString(bytes))
        }
        if command[0].isEmpty { throw Mistake(line: 0, text: "the name of the program is empty") }
        return command
    }
}

/// Takes the words from a file.
private struct ChainReader {
    private var rest: ArraySlice<UInt8>
    private var line = 1
    private var isFirst = true

    init(_ content: [UInt8]) { rest = content[...] }

    /// The next word; nil at the end of the file.
    mutating func next() throws(ChainFile.Mistake) -> [ChainFile.Part]? {
        try skipToWord()
        if rest.isEmpty { return nil }
        try checkFirst()
        var word = PartsBuilder()
        while let byte = rest.first, !byte.isBlank {
            let start = line
            advance()
            switch byte {
            case UInt8(ascii: "'"): try takeSingleQuoted(into: &word, from: start)
            case UInt8(ascii: "\""): try takeDoubleQuoted(into: &word, from: start)
            case UInt8(ascii: "\\"): try takeEscaped(into: &word)
            case UInt8(ascii: "$"): try takeValue(into: &word)
            default:
                try check(byte, isFirst: word.isEmpty)
                word.append(byte)
            }
        }
        return word.parts
    }

    /// Passes over blanks, joined lines and comments.
    private mutating func skipToWord() throws(ChainFile.Mistake) {
        while let byte = rest.first {
            if byte == UInt8(ascii: "\\"), rest.dropFirst().first == UInt8(ascii: "\n") {
                advance()
                advance()
            } else if byte == UInt8(ascii: "#") {
                while let next = rest.first, next != UInt8(ascii: "\n") { advance() }
            } else if byte.isBlank {
                advance()
            } else if byte == UInt8(ascii: "\r"), rest.dropFirst().first ?? 10 == 10 {
                throw mistake("the line ends in CR LF")
            } else {
                return
            }
        }
    }

    private mutating func advance() {
        if rest.popFirst() == UInt8(ascii: "\n") { line += 1 }
    }

    private func mistake(_ text: ByteString, line: Int? = nil) -> ChainFile.Mistake {
        ChainFile.Mistake(line: line ?? self.line, text: text)
    }

    /// What a shell takes for something else than the program, at the beginning of a command.
    private mutating func checkFirst() throws(ChainFile.Mistake) {
        guard isFirst else { return }
        isFirst = false
        let word = rest.prefix { !$0.isBlank }
        if word.elementsEqual("exec".utf8) {
            throw mistake("leave out \"exec\": the first word is the program")
        }
        let name = word.prefix { $0.isNameByte }
        if let first = name.first, !first.isDigit,
            word.dropFirst(name.count).first == UInt8(ascii: "=")
        {
            throw mistake("a variable is not set here: use env or envdir")
        }
    }

    /// Throws where a shell would see more than a byte of a word.
    private func check(_ byte: UInt8, isFirst: Bool) throws(ChainFile.Mistake) {
        let text = ByteString([byte])
        switch byte {
        case 0: throw mistake("there is a NUL byte in the line")
        case UInt8(ascii: "\r") where rest.first ?? 10 == 10:
            throw mistake("the line ends in CR LF")
        case UInt8(ascii: "<"), UInt8(ascii: ">"):
            throw mistake("\(text) redirects nothing here: use redirect, or quote it")
        case UInt8(ascii: "|"), UInt8(ascii: "&"), UInt8(ascii: ";"), UInt8(ascii: "("),
            UInt8(ascii: ")"), UInt8(ascii: "`"):
            throw mistake("\(text) joins no commands here: quote it, or use sh")
        case UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "["):
            throw mistake("\(text) finds no files here: quote it, or use sh")
        case UInt8(ascii: "~") where isFirst:
            throw mistake("~ is no home directory here: quote it, or use ${HOME}")
        default: return
        }
    }

    private mutating func takeSingleQuoted(into word: inout PartsBuilder, from start: Int)
        throws(ChainFile.Mistake)
    {
        word.begin()
        while let byte = rest.first {
            if byte == 0 { throw mistake("there is a NUL byte in the line") }
            advance()
            if byte == UInt8(ascii: "'") { return }
            word.append(byte)
        }
        throw mistake("a quote is not closed", line: start)
    }

    private mutating func takeDoubleQuoted(into word: inout PartsBuilder, from start: Int)
        throws(ChainFile.Mistake)
    {
        word.begin()
        while let byte = rest.first {
            advance()
            switch byte {
            case 0: throw mistake("there is a NUL byte in the line")
            case UInt8(ascii: "\""): return
            case UInt8(ascii: "`"):
                throw mistake("` runs no command here: quote it with ' or \\")
            case UInt8(ascii: "$"): try takeValue(into: &word)
            case UInt8(ascii: "\\"):
                switch rest.first {
                case UInt8(ascii: "\n"): advance()
                case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "$"), UInt8(ascii: "`"):
                    word.append(rest[rest.startIndex])
                    advance()
                default: word.append(byte)
                }
            default: word.append(byte)
            }
        }
        throw mistake("a quote is not closed", line: start)
    }

    /// What follows a backslash outside quotes.
    private mutating func takeEscaped(into word: inout PartsBuilder) throws(ChainFile.Mistake) {
        guard let byte = rest.first else { throw mistake("nothing follows the backslash") }
        if byte == 0 { throw mistake("there is a NUL byte in the line") }
        if byte == UInt8(ascii: "\r"), rest.dropFirst().first ?? 10 == 10 {
            throw mistake("the line ends in CR LF")
        }
        advance()
        if byte != UInt8(ascii: "\n") { word.append(byte) }
    }

    /// What follows a dollar sign.
    private mutating func takeValue(into word: inout PartsBuilder) throws(ChainFile.Mistake) {
        guard rest.first == UInt8(ascii: "{") else {
            if let byte = rest.first, byte.isNameByte {
                let name = ByteString(rest.prefix { $0.isNameByte })
                throw mistake("a variable stands in braces: ${\(name)}")
            }
            throw mistake("$ begins no ${NAME}: quote it with ' or \\")
        }
        let inside = rest.dropFirst()
        let name = inside.prefix { $0.isNameByte }
        let isNumber = name.first?.isDigit == true
        guard inside.dropFirst(name.count).first == UInt8(ascii: "}"), !name.isEmpty,
            !isNumber || name.allSatisfy({ $0.isDigit })
        else {
            throw mistake("only a variable's name or a number can stand between ${ and }")
        }
        rest = inside.dropFirst(name.count + 1)
        word.append(.value(of: ByteString(name), line: line))
    }
}

/// Gathers the parts of a word, with bytes that follow each other as one.
private struct PartsBuilder {
    private(set) var parts: [ChainFile.Part] = []

    var isEmpty: Bool { parts.isEmpty }

    /// Makes it a word, even if nothing follows.
    mutating func begin() { if parts.isEmpty { parts.append(.text([])) } }

    mutating func append(_ byte: UInt8) {
        if case .text(var text) = parts.last {
            text.append(byte)
            parts[parts.count - 1] = .text(text)
        } else {
            parts.append(.text([byte]))
        }
    }

    mutating func append(_ part: ChainFile.Part) { parts.append(part) }
}

extension UInt8 {
    fileprivate var isBlank: Bool {
        self == UInt8(ascii: " ") || self == UInt8(ascii: "\t") || self == UInt8(ascii: "\n")
    }

    fileprivate var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }

    /// Whether the name of a variable can have it.
    fileprivate var isNameByte: Bool {
        isDigit || self == UInt8(ascii: "_")
            || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self)
            || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self)
    }
}
