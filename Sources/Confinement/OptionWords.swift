import Linux

extension Options {
    /// The long options that every program with confinement has.
    public enum Word: UInt32, CaseIterable, Sendable {
        /// `--ambient LIST`.
        case ambient
        /// `--bounding LIST`.
        case bounding
        /// `--caps LIST`.
        case caps
        /// `--inheritable LIST`.
        case inheritable
        /// `--no-new-privs`.
        case noNewPrivileges
        /// `--seccomp POLICY`.
        case seccomp

        fileprivate var name: StaticString {
            switch self {
            case .ambient: "ambient"
            case .bounding: "bounding"
            case .caps: "caps"
            case .inheritable: "inheritable"
            case .noNewPrivileges: "no-new-privs"
            case .seccomp: "seccomp"
            }
        }

        fileprivate var takesArgument: Bool { self != .noNewPrivileges }
    }

    /// Letters beyond any that a command line can have; each program gives short ones as it can.
    private static func firstLetter(prefixed: Bool) -> UInt32 { prefixed ? 0xE100 : 0xE000 }

    /// For `OptionReader`.
    public static var words: [LongOption] { words(prefix: "", prefixed: false) }

    /// The same words after `prefix`, for a program that confines something else beside itself. Give
    /// their letters to `take` with `prefixed: true`.
    public static func words(prefix: StaticString) -> [LongOption] {
        words(prefix: prefix, prefixed: true)
    }

    private static func words(prefix: StaticString, prefixed: Bool) -> [LongOption] {
        Word.allCases.compactMap { word in
            Unicode.Scalar(firstLetter(prefixed: prefixed) + word.rawValue).map {
                LongOption(
                    word.name, takesArgument: word.takesArgument, letter: $0, prefix: prefix)
            }
        }
    }

    /// Takes the option that `letter` stands for; false when it is none of these. A wrong value
    /// fails with exit code 100, a policy that cannot be read with 111.
    public mutating func take(
        _ letter: Unicode.Scalar, _ value: ByteString, prefixed: Bool = false
    ) throws(Failure) -> Bool {
        let number = letter.value &- Options.firstLetter(prefixed: prefixed)
        guard let word = Word(rawValue: number) else { return false }
        try take(word, value)
        return true
    }

    /// Takes an option with its value, which is not looked at when it has none.
    public mutating func take(_ word: Word, _ value: ByteString) throws(Failure) {
        switch word {
        case .ambient: capabilities.ambient = try CapabilityList(value)
        case .bounding: capabilities.bounding = try CapabilityList(value)
        case .caps: capabilities.permitted = try CapabilityList(value)
        case .inheritable: capabilities.inheritable = try CapabilityList(value)
        case .noNewPrivileges: noNewPrivileges = true
        case .seccomp:
            if filter != nil { throw Failure("a second system call policy", exitCode: 100) }
            filter = try SystemCallFilter(policy: value)
        }
    }
}
