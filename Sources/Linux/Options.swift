import CLinux

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

    private let words: CVector
    private let count: Int32
    private let short: ByteString
    private let longNames: CVector
    private let long: [LongOption]
    private let messages: Messages
    private var isFirst = true
    private var index: Int32 = 1

    /// Reads `arguments`, argument zero first. `short` is in getopt(3)'s form, without `+` or `:`
    /// in front. A wrong option is reported through `messages` in the family's words.
    public init(
        _ arguments: [ByteString], short: ByteString, long: [LongOption] = [], messages: Messages
    ) {
        words = CVector(arguments)
        count = Int32(arguments.count)
        self.short = "+:\(short)"
        self.long = long
        longNames = CVector(long.map { "\($0.prefix)\($0.name)" })
        self.messages = messages
    }

    /// The next option, or nil when the rest are operands.
    public mutating func next() -> Option? {
        var argument: UnsafePointer<CChar>?
        var failed: Int32 = 0
        var table = long.enumerated().map { position, option in
            CLinux.option(
                name: longNames.pointer[position],
                has_arg: option.takesArgument ? required_argument : no_argument,
                flag: nil, val: Int32(option.letter.value))
        }
        table.append(CLinux.option(name: nil, has_arg: 0, flag: nil, val: 0))
        let letter = short.withCString {
            cl_getopt(
                count, words.pointer, $0, table, isFirst ? 1 : 0, &argument, &index, &failed)
        }
        isFirst = false
        if letter == -1 { return nil }
        let scalar = Unicode.Scalar(UInt32(bitPattern: letter)) ?? "?"
        if scalar == "?" || scalar == ":" {
            report(missingArgument: scalar == ":", failed)
            return .wrong
        }
        return .option(scalar, argument.map { ByteString(cString: $0) } ?? ByteString())
    }

    /// Where the operands start in the arguments given; final once `next` has returned nil.
    public var operands: Int { Int(index) }

    private func report(missingArgument: Bool, _ letter: Int32) {
        let problem: StaticString =
            missingArgument ? "option requires an argument" : "illegal option"
        if (1...255).contains(letter) {
            messages.line("\(problem) -- \(ByteString([UInt8(letter)]))")
        } else {
            let word = words.pointer[Int(max(index - 1, 1))].map { ByteString(cString: $0) }
            messages.line("\(problem) -- \(word ?? ByteString())")
        }
    }
}
