import Bytes
import CLinux

/// getopt_long(3) with a leading `+`: options up to the first word that is none, clusters, values attached
/// or following, `--` consumed, a lone `-` kept.
public struct OptionParser {
    /// An option as it is written.
    public enum Name {
        /// `-x`, an ASCII character.
        case letter(Unicode.Scalar, takesValue: Bool)
        /// `--word`, given without the dashes.
        case word(ByteString, takesValue: Bool)
        /// `--word` or `--word=VALUE`.
        case wordWithOptionalValue(ByteString)
    }

    /// What the next word was.
    public enum Result {
        /// The option at this place of the names, with its value, empty when it takes none.
        case option(Int, ByteString)
        /// No option of this program: the letter, or the whole word of a long one.
        case unknown(ByteString)
        /// An option without the value it takes.
        case missingValue(ByteString)
    }

    /// What getopt_long(3) returns for the long option at place 0; less are letters.
    private static let firstWord = 256

    private let words: CVector
    private let count: Int32
    private let names: [Name]
    private let short: ByteString
    /// The long options' names, and at which place of `names` each is.
    private let longNames: CVector
    private let longPlaces: [Int]
    private var isFirst = true
    private var index: Int32 = 1

    /// Reads `arguments`, argument zero first.
    public init(_ arguments: [ByteString], _ names: [Name]) {
        words = CVector(arguments)
        count = Int32(arguments.count)
        self.names = names
        var short: [UInt8] = Array("+:".utf8)
        var long: [ByteString] = []
        var places: [Int] = []
        for (place, name) in names.enumerated() {
            switch name {
            case .letter(let letter, let takesValue):
                short.append(UInt8(truncatingIfNeeded: letter.value))
                if takesValue { short.append(UInt8(ascii: ":")) }
            case .word(let word, _), .wordWithOptionalValue(let word):
                long.append(word)
                places.append(place)
            }
        }
        self.short = ByteString(short)
        longNames = CVector(long)
        longPlaces = places
    }

    /// The next option, or nil when the rest are operands.
    public mutating func next() -> Result? {
        var argument: UnsafePointer<CChar>?
        var failed: Int32 = 0
        var table: [CLinux.option] = []
        for (index, place) in longPlaces.enumerated() {
            let argument =
                switch names[place] {
                case .word(_, true): required_argument
                case .wordWithOptionalValue: optional_argument
                default: no_argument
                }
            table.append(
                CLinux.option(
                    name: longNames.pointer[index],
                    has_arg: argument, flag: nil,
                    val: Int32(OptionParser.firstWord + place)))
        }
        table.append(CLinux.option(name: nil, has_arg: 0, flag: nil, val: 0))
        let result = short.withCString {
            cl_getopt(
                count, words.pointer, $0, table, isFirst ? 1 : 0, &argument, &index, &failed)
        }
        isFirst = false
        if result == -1 { return nil }
        if result == Int32(UInt8(ascii: ":")) { return .missingValue(word(failed)) }
        guard let place = place(of: Int(result)) else { return .unknown(word(failed)) }
        return .option(place, argument.map { ByteString(cString: $0) } ?? ByteString())
    }

    /// Where the operands start in the arguments given; final once `next` has returned nil.
    public var operands: Int { Int(index) }

    private func place(of result: Int) -> Int? {
        if result >= OptionParser.firstWord { return result - OptionParser.firstWord }
        return names.firstIndex {
            if case .letter(let letter, _) = $0 { return Int(letter.value) == result }
            return false
        }
    }

    private func word(_ letter: Int32) -> ByteString {
        if (1...255).contains(letter) { return ByteString([UInt8(letter)]) }
        let word = words.pointer[Int(max(index - 1, 1))].map { ByteString(cString: $0) }
        return word ?? ByteString()
    }
}
