import Bytes
import CLinux

/// getopt_long(3) with a leading `+`: options up to the first word that is none, clusters, values attached
/// or following, `--` consumed, a lone `-` kept.
public struct OptionParser {
    /// A long option, `--name` or `--name=VALUE`, and the letter it is reported as.
    public struct LongName {
        let name: ByteString
        let takesArgument: Bool
        let letter: Unicode.Scalar

        /// An option called `name`, without the dashes.
        public init(name: ByteString, takesArgument: Bool, letter: Unicode.Scalar) {
            self.name = name
            self.takesArgument = takesArgument
            self.letter = letter
        }
    }

    /// What the next word was.
    public enum Result {
        /// A known option with its value, empty when it takes none.
        case option(Unicode.Scalar, ByteString)
        /// No option of this program: the letter, or the whole word of a long one.
        case unknown(ByteString)
        /// An option without the value it takes.
        case missingArgument(ByteString)
    }

    private let words: CVector
    private let count: Int32
    private let short: ByteString
    private let longNames: CVector
    private let long: [LongName]
    private var isFirst = true
    private var index: Int32 = 1

    /// Reads `arguments`, argument zero first. `short` is in getopt(3)'s form, without `+` or `:` in front.
    public init(_ arguments: [ByteString], short: ByteString, long: [LongName]) {
        words = CVector(arguments)
        count = Int32(arguments.count)
        self.short = "+:\(short)"
        self.long = long
        longNames = CVector(long.map { $0.name })
    }

    /// The next option, or nil when the rest are operands.
    public mutating func next() -> Result? {
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
        switch scalar {
        case "?": return .unknown(word(failed))
        case ":": return .missingArgument(word(failed))
        default:
            return .option(scalar, argument.map { ByteString(cString: $0) } ?? ByteString())
        }
    }

    /// Where the operands start in the arguments given; final once `next` has returned nil.
    public var operands: Int { Int(index) }

    private func word(_ letter: Int32) -> ByteString {
        if (1...255).contains(letter) { return ByteString([UInt8(letter)]) }
        let word = words.pointer[Int(max(index - 1, 1))].map { ByteString(cString: $0) }
        return word ?? ByteString()
    }
}
