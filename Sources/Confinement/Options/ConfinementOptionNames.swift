import Bytes
import Commands
import Linux

/// The long options that every program with confinement has.
public enum ConfinementOption: CaseIterable, Sendable {
    /// `--ambient LIST`.
    case ambient
    /// `--bounding LIST`.
    case bounding
    /// `--caps LIST`.
    case caps
    /// `--cgroup LIMITS`.
    case cgroup
    /// `--chroot DIRECTORY`.
    case chroot
    /// `--group GROUP`.
    case group
    /// `--groups LIST`.
    case groups
    /// `--inaccessible PATHS`.
    case inaccessible
    /// `--inheritable LIST`.
    case inheritable
    /// `--landlock RULES`.
    case landlock
    /// `--limit RESOURCE=SOFT:HARD`.
    case limit
    /// `--limit-nearest RESOURCE=SOFT:HARD`.
    case limitNearest
    /// `--nice NUMBER`.
    case nice
    /// `--no-new-privs`.
    case noNewPrivileges
    /// `--noroot`.
    case noRoot
    /// `--oom-score-adj NUMBER`.
    case outOfMemoryScore
    /// `--own NAMESPACES`.
    case own
    /// `--own-dev`.
    case ownDevices
    /// `--own-tmp`.
    case ownTemporaryFiles
    /// `--read-only PATHS`.
    case readOnly
    /// `--read-write PATHS`.
    case readWrite
    /// `--seccomp POLICY`.
    case seccomp
    /// `--securebits LIST`.
    case securebits
    /// `--umask MASK`.
    case umask
    /// `--user USER`.
    case user
    /// `--user-env`.
    case userEnvironment

    private var name: StaticString {
        switch self {
        case .ambient: "ambient"
        case .bounding: "bounding"
        case .caps: "caps"
        case .cgroup: "cgroup"
        case .chroot: "chroot"
        case .group: "group"
        case .groups: "groups"
        case .inaccessible: "inaccessible"
        case .inheritable: "inheritable"
        case .landlock: "landlock"
        case .limit: "limit"
        case .limitNearest: "limit-nearest"
        case .nice: "nice"
        case .noNewPrivileges: "no-new-privs"
        case .noRoot: "noroot"
        case .outOfMemoryScore: "oom-score-adj"
        case .own: "own"
        case .ownDevices: "own-dev"
        case .ownTemporaryFiles: "own-tmp"
        case .readOnly: "read-only"
        case .readWrite: "read-write"
        case .seccomp: "seccomp"
        case .securebits: "securebits"
        case .umask: "umask"
        case .user: "user"
        case .userEnvironment: "user-env"
        }
    }

    private var takesValue: Bool {
        switch self {
        case .noNewPrivileges, .noRoot, .ownDevices, .ownTemporaryFiles, .userEnvironment: false
        default: true
        }
    }

    /// How they are written, for `OptionReader`.
    public static var names: [OptionName<ConfinementOption>] {
        allCases.map { OptionName(word: "\($0.name)", $0, takesValue: $0.takesValue) }
    }
}

extension ConfinementOptions {
    /// Takes an option with its value, which is not looked at when it has none. A wrong value fails with
    /// exit code 100, a policy that cannot be read with 111.
    public mutating func take(_ option: ConfinementOption, _ value: ByteString) throws(Failure) {
        switch option {
        case .ambient: capabilities.ambient = try CapabilityList(value)
        case .bounding: capabilities.bounding = try CapabilityList(value)
        case .caps: capabilities.permitted = try CapabilityList(value)
        case .cgroup: try groupLimits.take(value)
        case .chroot: root = value
        case .group: try credentials.take(group: value)
        case .groups: try credentials.take(groups: value)
        case .inaccessible: try sandbox.take(inaccessible: value)
        case .inheritable: capabilities.inheritable = try CapabilityList(value)
        case .landlock:
            var rules = landlock ?? LandlockRules()
            try rules.take(value)
            landlock = rules
        case .limit: limits.append(try LimitChange.parse(value))
        case .limitNearest: limits.append(try LimitChange.parse(value, mayBeNearest: true))
        case .nice:
            nice = Int32(try ConfinementOptions.number(value, within: -20...19, "nice value"))
        case .noNewPrivileges: noNewPrivileges = true
        case .noRoot: securebits.formUnion(.noRootForGood)
        case .outOfMemoryScore:
            let score = try ConfinementOptions.number(
                value, within: -1000...1000, "out-of-memory score")
            killScore = "\(score)"
        case .own: try sandbox.take(own: value)
        case .ownDevices: sandbox.hasOwnDevices = true
        case .ownTemporaryFiles: sandbox.hasOwnTemporaryFiles = true
        case .readOnly: try sandbox.take(readOnly: value)
        case .readWrite: try sandbox.take(readWrite: value)
        case .seccomp:
            if filter != nil { throw Failure("a second system call policy", exitCode: 100) }
            filter = try SystemCallFilter(policy: value)
        case .securebits: securebits.formUnion(try Securebits(value))
        case .umask: umask = try ConfinementOptions.mask(value)
        case .user: try credentials.take(user: value)
        case .userEnvironment: credentials.setsVariables = true
        }
    }

    private static func number(
        _ text: ByteString, within range: ClosedRange<Int>, _ what: StaticString
    ) throws(Failure) -> Int {
        if let number = parseDecimal(text, within: range) { return number }
        throw Failure("bad \(what) \(text)", exitCode: 100)
    }

    private static func mask(_ text: ByteString) throws(Failure) -> UInt32 {
        let digits = UInt8(ascii: "0")...UInt8(ascii: "7")
        guard (1...4).contains(text.count), text.bytes.allSatisfy({ digits.contains($0) }) else {
            throw Failure("bad umask \(text)", exitCode: 100)
        }
        let mask = text.bytes.reduce(0) { $0 << 3 | UInt32($1 - digits.lowerBound) }
        if mask > 0o777 { throw Failure("bad umask \(text)", exitCode: 100) }
        return mask
    }
}
