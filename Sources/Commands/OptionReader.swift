import Bytes
import Linux

/// How an option is written on a command line, and which case of the program's enum it stands for. An
/// option with a short and a long form has two.
public struct OptionName<Option: Sendable>: Sendable {
    /// What it stands for.
    let option: Option
    /// The letter after one dash; nil for a long form.
    let letter: Unicode.Scalar?
    /// The word after two dashes.
    let word: ByteString
    /// Whether a value follows: `-cVALUE`, `-c VALUE`, `--word=VALUE` or `--word VALUE`.
    let takesValue: Bool
    /// Whether a value may follow, then as `--word=VALUE` only.
    let mayTakeValue: Bool

    /// `-letter`, an ASCII letter or digit.
    public init(_ letter: Unicode.Scalar, _ option: Option, takesValue: Bool = false) {
        self.option = option
        self.letter = letter
        word = ByteString()
        self.takesValue = takesValue
        mayTakeValue = false
    }

    /// `--word`.
    public init(
        word: ByteString, _ option: Option, takesValue: Bool = false, mayTakeValue: Bool = false
    ) {
        self.option = option
        letter = nil
        self.word = word
        self.takesValue = takesValue
        self.mayTakeValue = mayTakeValue
    }

    private init(
        _ option: Option, _ letter: Unicode.Scalar?, _ word: ByteString, _ takesValue: Bool,
        _ mayTakeValue: Bool
    ) {
        self.option = option
        self.letter = letter
        self.word = word
        self.takesValue = takesValue
        self.mayTakeValue = mayTakeValue
    }

    /// The same name for a case of another enum, for a program that has these options among others;
    /// `prefix` goes before a long name.
    public func mapped<Other: Sendable>(prefix: ByteString = "", _ transform: (Option) -> Other)
        -> OptionName<Other>
    {
        OptionName<Other>(
            transform(option), letter, letter == nil ? "\(prefix)\(word)" : word, takesValue,
            mayTakeValue)
    }
}

/// Reads options up to the first word that is none, as DJB's sgetopt and getopt_long(3) with a
/// leading `+` do: clusters, values attached or following, `--` consumed, a lone `-` kept.
public struct OptionReader<Option: Sendable> {
    /// What the next word was.
    public enum Result {
        /// A known option with its value, empty when it takes none.
        case option(Option, ByteString)
        /// Not an option of this program. The family's line about it has been printed.
        case wrong
    }

    private var parser: OptionParser
    private let names: [OptionName<Option>]
    private let messages: Messages

    /// Reads `arguments`, argument zero first. A wrong option is reported through `messages` in the
    /// family's words.
    public init(_ arguments: [ByteString], _ names: [OptionName<Option>], _ messages: Messages) {
        self.names = names
        self.messages = messages
        parser = OptionParser(
            arguments,
            names.map { name in
                if let letter = name.letter { return .letter(letter, takesValue: name.takesValue) }
                return name.mayTakeValue
                    ? .wordWithOptionalValue(name.word)
                    : .word(name.word, takesValue: name.takesValue)
            })
    }

    /// The next option, or nil when the rest are operands.
    public mutating func next() -> Result? {
        switch parser.next() {
        case .none: return nil
        case .option(let index, let value): return .option(names[index].option, value)
        case .unknown(let word): messages.line("illegal option -- \(word)")
        case .missingValue(let word):
            messages.line("option requires an argument -- \(word)")
        }
        return .wrong
    }

    /// Where the operands start in the arguments given; final once `next` has returned nil.
    public var operands: Int { parser.operands }
}
