import Bytes
import CSeccomp
import Commands
import Linux

/// The process and the kernel that a profile is compiled for; its conditions are about them.
public struct ProfileTarget: Sendable {
    /// The bounding set: the capabilities that the program can ever hold.
    public var bounding: CapabilitySet
    /// The kernel's version, `6.1` say, as major and minor.
    public var kernel: (major: UInt, minor: UInt)

    /// This process and the running kernel.
    public static func current() throws(Failure) -> ProfileTarget {
        do throws(SystemError) {
            let release = try kernelRelease()
            return ProfileTarget(
                bounding: try CapabilityState.current().bounding,
                kernel: ProfileTarget.version(release) ?? (0, 0))
        } catch { throw error.explained("unable to tell what this process may do") }
    }

    /// The version that `text` begins with; nil without one.
    public static func version(_ text: ByteString) -> (major: UInt, minor: UInt)? {
        let (major, length) = scanDecimal(text.bytes)
        let rest = text.bytes.dropFirst(length)
        let (minor, minorLength) = scanDecimal(rest.dropFirst())
        guard length > 0, rest.first == UInt8(ascii: "."), minorLength > 0 else { return nil }
        return (major, minor)
    }
}

extension Profile {
    /// Reads the profile that `text` is. What is not understood is a mistake with its place, exit code
    /// 100; only names of calls may be unknown.
    static func read(_ text: [UInt8], file: ByteString, _ profileTarget: ProfileTarget)
        throws(Failure) -> Profile
    {
        let root = try JSONValue.parse(text, file: file)
        let fields = try root.fields(ProfileField.self)
        guard let action = fields[.defaultAction] else { throw root.mistake("no defaultAction") }
        if let listener = fields[.listenerPath] ?? fields[.listenerMetadata] {
            throw listener.mistake("there is no process that listens")
        }
        var profile = Profile(
            defaultAction: try FilterAction(
                action, errno: fields[.defaultErrnoRet], errnoName: fields[.defaultErrno]))
        try profile.readArchitectures(fields[.architectures], map: fields[.archMap])
        for flag in try fields[.flags]?.elements() ?? [] {
            profile.flags.insert(try FilterFlags(flag))
        }
        for rule in try fields[.syscalls]?.elements() ?? [] {
            if let rule = try Rule(rule, profileTarget) { profile.rules.append(rule) }
        }
        return profile
    }

    /// Reads the list, or this architecture's entry of the map.
    private mutating func readArchitectures(_ list: JSONValue?, map: JSONValue?) throws(Failure) {
        var names = try list?.elements() ?? []
        let entries = try map?.elements() ?? []
        if let map, !names.isEmpty && !entries.isEmpty {
            throw map.mistake("architectures are listed already")
        }
        for entry in entries {
            let fields = try entry.fields(ArchitectureField.self)
            guard let name = fields[.architecture] else { throw entry.mistake("no architecture") }
            guard try Architecture(named: name) == .native else { continue }
            names = try fields[.subArchitectures]?.elements() ?? []
            break
        }
        for name in names {
            guard let architecture = try Architecture(named: name) else {
                throw name.mistake("unknown architecture \(try name.text())")
            }
            if !architectures.contains(architecture) { architectures.append(architecture) }
        }
    }
}

extension Architecture {
    /// `SCMP_ARCH_X86_64`, say; nil for an architecture that libseccomp does not know.
    fileprivate init?(named value: JSONValue) throws(Failure) {
        let text = try value.text()
        if text == "SCMP_ARCH_NATIVE" {
            self = .native
            return
        }
        let prefix: ByteString = "SCMP_ARCH_"
        guard text.hasPrefix(prefix) else { return nil }
        let name = text.bytes.dropFirst(prefix.count).map { (65...90).contains($0) ? $0 + 32 : $0 }
        self.init(libseccompName: ByteString(name))
    }
}

extension FilterAction {
    /// An action's name with the error number that it may have.
    fileprivate init(_ value: JSONValue, errno: JSONValue?, errnoName: JSONValue?) throws(Failure) {
        var code = UInt64(Errno.notPermitted.code)
        if let errno {
            code = try errno.number()
            if code > 4095 { throw errno.mistake("no error number") }
        }
        // A name; some engines write the number here, as a string.
        if let errnoName, case let name = try errnoName.text(), !name.isEmpty {
            guard let known = Confinement.errno(name) else {
                throw errnoName.mistake("unknown error \(name)")
            }
            code = UInt64(known.code)
        }
        switch try value.choice(ProfileAction.self, "SCMP_ACT_", "action") {
        case .allow: self = .allow
        case .fail: self = .fail(Errno(Int32(code)))
        case .trace: self = .trace(UInt16(code))
        case .log: self = .log
        case .trap: self = .trap
        case .killProcess: self = .killProcess
        case .kill, .killThread: self = .killThread
        case .notify: throw value.mistake("there is no process that listens")
        }
    }
}

extension FilterFlags {
    fileprivate init(_ value: JSONValue) throws(Failure) {
        switch try value.choice(ProfileFlag.self, "SECCOMP_FILTER_FLAG_", "flag") {
        case .log: self = .log
        case .allowSpeculation: self = .allowSpeculation
        // This process has one thread, and no listener.
        case .allThreads, .killableListener: self = []
        }
    }
}

extension Profile.Rule {
    /// A rule; nil when it is not for these profileTarget.
    fileprivate init?(_ value: JSONValue, _ profileTarget: ProfileTarget) throws(Failure) {
        let fields = try value.fields(RuleField.self)
        _ = try fields[.comment]?.text()
        guard let action = fields[.action] else { throw value.mistake("no action") }
        place = value
        names = []
        for name in try fields[.names]?.elements() ?? [] { names.append(try name.text()) }
        if let name = try fields[.name]?.text(), !name.isEmpty {
            if !names.isEmpty { throw value.mistake("both name and names") }
            names = [name]
        }
        if names.isEmpty { throw value.mistake("no names") }
        self.action = try FilterAction(
            action, errno: fields[.errnoRet], errnoName: fields[.errno])
        for argument in try fields[.args]?.elements() ?? [] {
            arguments.append(try scmp_arg_cmp(argument))
        }
        let isExcluded = try fields[.excludes].map { (value) throws(Failure) in
            try profileTarget.meet(value, all: false)
        }
        let isIncluded = try fields[.includes].map { (value) throws(Failure) in
            try profileTarget.meet(value, all: true)
        }
        if isExcluded == true || isIncluded == false { return nil }
    }
}

extension ProfileTarget {
    /// Whether these are the profileTarget of a rule's `includes`, of which all must be met, or of its
    /// `excludes`, of which one is enough.
    fileprivate func meet(_ value: JSONValue, all: Bool) throws(Failure) -> Bool {
        let fields = try value.fields(ConditionField.self)
        var answers: [Bool] = []
        for capability in try fields[.caps]?.elements() ?? [] {
            guard let known = Capability(named: try capability.text()) else {
                throw capability.mistake("unknown capability \(try capability.text())")
            }
            answers.append(bounding.contains(known))
        }
        var names: [ByteString] = []
        for name in try fields[.arches]?.elements() ?? [] { names.append(try name.text()) }
        if !names.isEmpty { answers.append(names.contains(Architecture.native.goName)) }
        if let version = fields[.minKernel] {
            guard let least = ProfileTarget.version(try version.text()) else {
                throw version.mistake("not a version as 4.8 is")
            }
            answers.append(
                (kernel.major, kernel.minor) >= (least.major, least.minor))
        }
        return all ? !answers.contains(false) : answers.contains(true)
    }
}

extension scmp_arg_cmp {
    fileprivate init(_ value: JSONValue) throws(Failure) {
        let fields = try value.fields(ArgumentField.self)
        guard let index = fields[.index], let first = fields[.value], let op = fields[.op] else {
            throw value.mistake("index, value and op are needed")
        }
        guard try index.number() <= 5 else { throw index.mistake("not an argument from 0 to 5") }
        let relation = try op.choice(ProfileRelation.self, "SCMP_CMP_", "operator")
        self.init(
            arg: UInt32(try index.number()), op: relation.libseccompValue,
            datum_a: try first.number(), datum_b: try fields[.valueTwo]?.number() ?? 0)
    }
}
