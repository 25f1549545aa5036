import Bytes
import CCap
import Linux

/// How a process is confined, as /proc tells; what svls(8) shows and judges by.
public struct Audit: Sendable {
    /// What exposes the system to a process, and how much, of 100.
    public enum Exposure: Int, CaseIterable, Sendable {
        /// One of its user ids is root's.
        case root = 0
        /// It holds a capability that amounts to all of the system.
        case systemCapability
        /// It holds other capabilities.
        case capability
        /// It can gain by an exec a capability that amounts to all of the system.
        case gain
        /// It can gain something by an exec: no_new_privs is not set.
        case privileges
        /// No filter restricts its system calls.
        case calls

        /// Its share of 100.
        public var points: Int {
            switch self {
            case .root, .calls: 25
            case .systemCapability: 20
            case .capability, .gain, .privileges: 10
            }
        }

        /// For people.
        public var text: StaticString {
            switch self {
            case .root: "user root"
            case .systemCapability: "capabilities of the system"
            case .capability: "other capabilities"
            case .gain: "can gain those of the system"
            case .privileges: "without no_new_privs"
            case .calls: "without filter"
            }
        }
    }

    /// The capabilities with which a process may take over the system, or another process.
    private static let system = CapabilitySet(
        [
            CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_PTRACE,
            CAP_SYS_ADMIN, CAP_SYS_BOOT, CAP_MKNOD, CAP_SETFCAP, CAP_MAC_OVERRIDE, CAP_MAC_ADMIN,
            CAP_BPF,
        ])

    /// The command's name, at most 15 bytes.
    public private(set) var name = ByteString()
    /// Real, effective, saved and file system user.
    public private(set) var users: [UInt32] = []
    /// Real, effective, saved and file system group.
    public private(set) var groups: [UInt32] = []
    /// Supplementary groups.
    public private(set) var moreGroups: [UInt32] = []
    /// The capability sets.
    public private(set) var capabilities = CapabilityState()
    /// Whether no exec gives it anything.
    public private(set) var noNewPrivileges = false
    /// 0 for none, 1 for the strict mode, 2 for filters.
    public private(set) var seccompMode = 0
    /// How many filters there are, where the kernel tells.
    public private(set) var filterCount: Int?

    /// Reads the text of /proc/PID/status; nil when a field of it is missing.
    public init?(status text: [UInt8]) {
        var missing = Field.allCases.filter { !$0.isOptional }
        for line in ByteString(text).parts(separatedBy: UInt8(ascii: "\n")) {
            guard let (name, value) = line.cut(at: UInt8(ascii: ":")),
                let field = Field(named: name)
            else { continue }
            take(field, ByteString(value.bytes.dropFirst()))
            missing.removeAll { $0 == field }
        }
        if !missing.isEmpty { return nil }
    }

    /// The fields that are of interest.
    private enum Field: NamedCase {
        case name, users, groups, moreGroups, inheritable, permitted, effective, bounding, ambient,
            noNewPrivileges, seccompMode, filterCount

        var name: StaticString {
            switch self {
            case .name: "Name"
            case .users: "Uid"
            case .groups: "Gid"
            case .moreGroups: "Groups"
            case .inheritable: "CapInh"
            case .permitted: "CapPrm"
            case .effective: "CapEff"
            case .bounding: "CapBnd"
            case .ambient: "CapAmb"
            case .noNewPrivileges: "NoNewPrivs"
            case .seccompMode: "Seccomp"
            case .filterCount: "Seccomp_filters"
            }
        }

        /// Those that have come with Linux 3.8, 4.10 and 5.10 may be missing.
        var isOptional: Bool {
            switch self {
            case .noNewPrivileges, .seccompMode, .filterCount: true
            default: false
            }
        }
    }

    private mutating func take(_ field: Field, _ value: ByteString) {
        switch field {
        case .name: name = value
        case .users: users = Audit.numbers(value)
        case .groups: groups = Audit.numbers(value)
        case .moreGroups: moreGroups = Audit.numbers(value)
        case .inheritable: capabilities.inheritable = Audit.set(value)
        case .permitted: capabilities.permitted = Audit.set(value)
        case .effective: capabilities.effective = Audit.set(value)
        case .bounding: capabilities.bounding = Audit.set(value)
        case .ambient: capabilities.ambient = Audit.set(value)
        case .noNewPrivileges: noNewPrivileges = value == "1"
        case .seccompMode: seccompMode = parseDecimal(value, within: 0...2) ?? 0
        case .filterCount: filterCount = parseDecimal(value, within: 0...Int.max)
        }
    }

    private static func numbers(_ text: ByteString) -> [UInt32] {
        var numbers: [UInt32] = []
        var rest = text.bytes
        while true {
            let (number, length) = scanDecimal(rest)
            if length > 0 { numbers.append(UInt32(truncatingIfNeeded: number)) }
            // Then a tab or a blank.
            if length + 1 >= rest.count { return numbers }
            rest = rest.dropFirst(length + 1)
        }
    }

    private static func set(_ text: ByteString) -> CapabilitySet {
        CapabilitySet(rawValue: parseNumber("0x\(text)") ?? 0)
    }

    private func isExposed(by exposure: Exposure) -> Bool {
        switch exposure {
        case .root: users.contains(0)
        case .systemCapability: !capabilities.permitted.isDisjoint(with: Audit.system)
        case .capability: !capabilities.permitted.subtracting(Audit.system).isEmpty
        case .gain:
            !noNewPrivileges && !capabilities.bounding.isDisjoint(with: Audit.system)
        case .privileges: !noNewPrivileges
        case .calls: seccompMode == 0
        }
    }

    /// The points of its exposures, of 100.
    public var points: Int {
        var points = 0
        for exposure in Exposure.allCases where isExposed(by: exposure) {
            points += exposure.points
        }
        return points
    }

    /// What of it exposes the system, each with its points, for people.
    public var exposures: [ByteString] {
        var texts: [ByteString] = []
        for exposure in Exposure.allCases where isExposed(by: exposure) {
            texts.append("\(exposure.text) \(exposure.points)")
        }
        return texts
    }

    /// The judgement in a word.
    public var word: StaticString {
        switch points {
        case ...15: "tight"
        case ...40: "medium"
        case ...70: "weak"
        default: "exposed"
        }
    }
}

/// The limits in the text of /proc/PID/limits, in the order of `Resource`, each as soft and hard one.
public func limits(in text: [UInt8]) -> [ByteString] {
    var limits: [ByteString] = []
    for line in ByteString(text).parts(separatedBy: UInt8(ascii: "\n")).dropFirst() {
        let words = ByteString(line.bytes.dropFirst(26)).parts(separatedBy: UInt8(ascii: " "))
            .filter { !$0.isEmpty }
        if words.count >= 2 { limits.append("\(words[0]):\(words[1])") }
    }
    return limits
}
