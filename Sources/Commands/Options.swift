import Bytes
import Linux

/// The long name of an option, with the letter that programs switch over. One that has no short form
/// takes a letter beyond ASCII, which no command line can name.
public struct LongOption: Sendable {
    let prefix: StaticString
    let name: StaticString
    let takesArgument: Bool
    let letter: Unicode.Scalar

    /// `--name`, or `--name=VALUE`, reported as `letter`; `prefix` goes before the name.
    public init(
        _ name: StaticString, takesArgument: Bool = false, letter: Unicode.Scalar,
        prefix: StaticString = ""
    ) {
        self.prefix = prefix
        self.name = name
        self.takesArgument = takesArgument
        self.letter = letter
    }
}

/// Reads options up to the first word that is none, as DJB's sgetopt and getopt_long(3) with a
/// leading `+` do: clusters, values attached or following, `--` consumed, a lone `-` kept.
public struct OptionReader {
    /// What the next word was.
    public enum Option {
        /// A known option with its value, empty when it takes none.
        case option(Unicode.Scalar, ByteString)
        /// Not an option of this program. The family's line about it has been printed.
        case wrong
    }

    private var parser: OptionParser
    private let messages: Messages

    /// Reads `arguments`, argument zero first. `short` is in getopt(3)'s form, without `+` or `:`
    /// in front. A wrong option is reported through `messages` in the family's words.
    public init(
        _ arguments: [ByteString], short: ByteString, long: [LongOption] = [], messages: Messages
    ) {
        parser = OptionParser(
            arguments, short: short,
            long: long.map {
                .init(
                    name: "\($0.prefix)\($0.name)", takesArgument: $0.takesArgument,
                    letter: $0.letter)
            })
        self.messages = messages
    }

    /// The next option, or nil when the rest are operands.
    public mutating func next() -> Option? {
        switch parser.next() {
        case .none: return nil
        case .option(let letter, let value): return .option(letter, value)
        case .unknown(let word): messages.line("illegal option -- \(word)")
        case .missingArgument(let word):
            messages.line("option requires an argument -- \(word)")
        }
        return .wrong
    }

    /// Where the operands start in the arguments given; final once `next` has returned nil.
    public var operands: Int { parser.operands }
}
