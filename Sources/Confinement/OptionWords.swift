import Linux

extension Options {
    /// The long options that every program with confinement has.
    public enum Word: Unicode.Scalar, CaseIterable, Sendable {
        // Letters beyond any that a command line can have; each program gives short ones as it can.
        /// `--ambient LIST`.
        case ambient = "\u{E000}"
        /// `--bounding LIST`.
        case bounding = "\u{E001}"
        /// `--caps LIST`.
        case caps = "\u{E002}"
        /// `--inheritable LIST`.
        case inheritable = "\u{E003}"
        /// `--no-new-privs`.
        case noNewPrivileges = "\u{E004}"
        /// `--seccomp POLICY`.
        case seccomp = "\u{E005}"

        /// As getopt_long(3) takes it.
        fileprivate var option: LongOption {
            switch self {
            case .ambient: LongOption("ambient", takesArgument: true, letter: rawValue)
            case .bounding: LongOption("bounding", takesArgument: true, letter: rawValue)
            case .caps: LongOption("caps", takesArgument: true, letter: rawValue)
            case .inheritable: LongOption("inheritable", takesArgument: true, letter: rawValue)
            case .noNewPrivileges: LongOption("no-new-privs", letter: rawValue)
            case .seccomp: LongOption("seccomp", takesArgument: true, letter: rawValue)
            }
        }
    }

    /// For `OptionReader`.
    public static var words: [LongOption] { Word.allCases.map { $0.option } }

    /// Takes the option that `letter` stands for; false when it is none of these. A wrong value
    /// fails with exit code 100, a policy that cannot be read with 111.
    public mutating func take(_ letter: Unicode.Scalar, _ value: ByteString) throws(Failure)
        -> Bool
    {
        guard let word = Word(rawValue: letter) else { return false }
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

extension SystemCallFilter {
    /// Compiles what the user names: a list of calls when it begins with `@` or `~`, else a file.
    public init(policy: ByteString) throws(Failure) {
        let isList = policy.hasPrefix("@") || policy.hasPrefix("~")
        let rules =
            isList ? try Policy(list: policy, option: "policy") : try PolicyReader.read(policy)
        do throws(SystemError) { try self.init(rules) } catch {
            throw error.explained("unable to compile \(policy)")
        }
    }
}
