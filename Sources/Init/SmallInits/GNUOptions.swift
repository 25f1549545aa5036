import Bytes

/// getopt_long(3) as glibc has it: with abbreviated long options, its words about a wrong one, and, where that is wanted,
/// options after operands. For programs whose originals were built with it and are known by how it reads a line.
struct GNUOptions {
    /// A long option, which stands for a letter.
    struct Long {
        let name: StaticString
        let letter: UInt8
        var takesValue = false
    }

    /// What the next word was.
    enum Found: Equatable {
        /// The option of this letter with its value, empty when it takes none.
        case option(UInt8, ByteString)
        /// None of the program's; the line about it.
        case wrong(ByteString)
    }

    /// The words that are no options, known once `next` has returned nil.
    private(set) var operands: [ByteString] = []

    private let name: ByteString
    private let letters: ByteString
    private let longOptions: [Long]
    private let permutes: Bool
    private var words: ArraySlice<ByteString>
    /// The letters after one dash that have not been looked at.
    private var cluster: ArraySlice<UInt8> = []

    /// Reads `arguments`, argument zero first. `letters` has a colon after each that takes a value.
    init(
        _ arguments: [ByteString], letters: ByteString, _ longOptions: [Long] = [], permutes: Bool
    ) {
        name = arguments.first ?? ""
        words = arguments.dropFirst()
        self.letters = letters
        self.longOptions = longOptions
        self.permutes = permutes
    }

    /// The next option, or nil when the rest are operands.
    mutating func next() -> Found? {
        if cluster.isEmpty {
            guard let word = nextOption() else { return nil }
            if !longOptions.isEmpty, word.hasPrefix("--") { return long(word) }
            cluster = word.bytes.dropFirst()
        }
        return short()
    }

    /// The next word that begins with a dash; what comes before is an operand, or ends the options.
    private mutating func nextOption() -> ByteString? {
        while let word = words.first {
            if word.count > 1, word.hasPrefix("-") {
                words.removeFirst()
                if word != "--" { return word }
                break
            }
            guard permutes else { break }
            operands.append(word)
            words.removeFirst()
        }
        operands += words
        words = []
        return nil
    }

    private mutating func short() -> Found {
        guard let letter = cluster.popFirst() else { return .wrong("") }
        let colon = UInt8(ascii: ":")
        guard letter != colon, let place = letters.bytes.firstIndex(of: letter) else {
            return .wrong("\(name): invalid option -- '\(ByteString([letter]))'")
        }
        let after = place + 1
        guard after < letters.bytes.endIndex, letters.bytes[after] == colon else {
            return .option(letter, "")
        }
        if !cluster.isEmpty {
            let value = ByteString(cluster)
            cluster = []
            return .option(letter, value)
        }
        if let value = words.popFirst() { return .option(letter, value) }
        return .wrong("\(name): option requires an argument -- '\(ByteString([letter]))'")
    }

    private mutating func long(_ word: ByteString) -> Found {
        let text = word.bytes.dropFirst(2)
        let parts = ByteString(text).cut(at: UInt8(ascii: "="))
        let given = parts?.before ?? ByteString(text)
        var matches = longOptions.filter { given.isSpelled($0.name) }
        if matches.isEmpty {
            matches = longOptions.filter { ByteString($0.name).hasPrefix(given) }
        }
        guard let option = matches.first else {
            return .wrong("\(name): unrecognized option '\(word)'")
        }
        if matches.count > 1 {
            let all = matches.map { " '--\($0.name)'" as ByteString }
            return .wrong(
                "\(name): option '\(word)' is ambiguous; possibilities:\(ByteString(all, joinedBy: ""))"
            )
        }
        switch (option.takesValue, parts?.after) {
        case (true, .some(let value)): return .option(option.letter, value)
        case (true, .none):
            if let value = words.popFirst() { return .option(option.letter, value) }
            return .wrong("\(name): option '--\(option.name)' requires an argument")
        case (false, .some):
            return .wrong("\(name): option '--\(option.name)' doesn't allow an argument")
        case (false, .none): return .option(option.letter, "")
        }
    }
}

/// A number as scanf(3) and strtol(3) read one: blanks, a sign, and decimal digits. Returns nil in place of a value where
/// there is none, and what follows; what has too many digits is more than any number of use.
func scanNumber(_ text: ArraySlice<UInt8>) -> (value: Int?, rest: ArraySlice<UInt8>) {
    let digits = text.drop { $0 == UInt8(ascii: " ") || (9...13).contains($0) }
    let sign = digits.first
    let isSigned = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")
    let (magnitude, length) = scanDecimal(digits.dropFirst(isSigned ? 1 : 0))
    guard length > 0 else { return (nil, text) }
    let value = length > 9 ? Int(Int32.max) : Int(magnitude)
    return (
        sign == UInt8(ascii: "-") ? -value : value, digits.dropFirst(length + (isSigned ? 1 : 0))
    )
}
