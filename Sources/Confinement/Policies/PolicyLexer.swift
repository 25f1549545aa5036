import Bytes
import Commands
import Linux

/// A place in a policy, for messages.
struct PolicyPlace {
    /// The policy's name, a path as the user wrote it.
    let file: ByteString
    /// The line, counted from 1; the first of those joined by backslashes. Nil without lines.
    var line: Int?

    /// A mistake at this place, exit code 100.
    func mistake(_ text: ByteString) -> Failure {
        let line = line.map { ByteString(":\($0)") } ?? ""
        return Failure("\(file)\(line): \(text)", exitCode: 100)
    }
}

/// The words of one line of a policy: names, numbers and signs, each as written.
struct PolicyLine {
    /// Where the line is.
    let place: PolicyPlace
    private let words: [ByteString]
    private var index = 0

    /// Splits the lines of `text`, without comments, blank lines and with continued ones joined.
    static func lines(of text: [UInt8], file: ByteString) throws(Failure) -> [PolicyLine] {
        var lines: [PolicyLine] = []
        var words: [ByteString] = []
        var place = PolicyPlace(file: file, line: 1)
        var next = 1
        for line in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            if words.isEmpty { place.line = next }
            next += 1
            var lexer = PolicyLexer(bytes: line, place: place)
            while let word = try lexer.next() { words.append(word) }
            if lexer.isContinued || words.isEmpty { continue }
            lines.append(PolicyLine(place: place, words: words))
            words = []
        }
        if !words.isEmpty { throw place.mistake("the last line is not finished") }
        return lines
    }

    private init(place: PolicyPlace, words: [ByteString]) {
        self.place = place
        self.words = words
    }

    /// The next word, which is not taken.
    var peek: ByteString? { index < words.count ? words[index] : nil }

    /// Whether the second word is a colon.
    var isStatement: Bool { index + 1 < words.count && words[index + 1] == ":" }

    /// Takes the next word; there must be one.
    mutating func take() throws(Failure) -> ByteString {
        guard let word = peek else { throw place.mistake("the line ends too early") }
        index += 1
        return word
    }

    /// Takes the next word if it is `word`.
    mutating func take(_ word: ByteString) -> Bool {
        if peek != word { return false }
        index += 1
        return true
    }

    /// Takes the next word, which must be `word`.
    mutating func expect(_ word: ByteString) throws(Failure) {
        if !take(word) { throw unexpected() }
    }

    /// There must be no word left.
    func end() throws(Failure) { if peek != nil { throw unexpected() } }

    /// The mistake that the next word should not be where it is.
    func unexpected() -> Failure {
        guard let word = peek else { return place.mistake("the line ends too early") }
        return place.mistake("unexpected \(word)")
    }
}

/// Splits a line into words.
private struct PolicyLexer {
    private var rest: ArraySlice<UInt8>
    private let place: PolicyPlace
    private(set) var isContinued = false

    init(bytes: ArraySlice<UInt8>, place: PolicyPlace) {
        rest = bytes
        self.place = place
    }

    mutating func next() throws(Failure) -> ByteString? {
        rest = rest.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == 13 }
        guard let first = rest.first, first != UInt8(ascii: "#") else { return nil }
        if first == UInt8(ascii: "\\") && rest.count == 1 {
            isContinued = true
            return nil
        }
        let length = isPath(first) ? pathLength : isName(first) ? nameLength : try signLength(first)
        defer { rest = rest.dropFirst(length) }
        return ByteString(rest.prefix(length))
    }

    /// Names, numbers with their sign, groups.
    private func isName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"),
            UInt8(ascii: "@"):
            true
        default: false
        }
    }

    private var nameLength: Int { rest.prefix { isName($0) }.count }

    private func isPath(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "/") || byte == UInt8(ascii: ".")
    }

    private var pathLength: Int {
        rest.prefix { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") && $0 != 13 }.count
    }

    private func signLength(_ first: UInt8) throws(Failure) -> Int {
        let second = rest.dropFirst().first
        switch first {
        case UInt8(ascii: "="), UInt8(ascii: "!"), UInt8(ascii: "<"), UInt8(ascii: ">"):
            return second == UInt8(ascii: "=") ? 2 : 1
        case UInt8(ascii: "&"), UInt8(ascii: "|"): return second == first ? 2 : 1
        case UInt8(ascii: ":"), UInt8(ascii: ";"), UInt8(ascii: ","), UInt8(ascii: "~"),
            UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "["), UInt8(ascii: "]"),
            UInt8(ascii: "{"), UInt8(ascii: "}"):
            return 1
        default: throw place.mistake("what is \(ByteString([first]))?")
        }
    }
}
