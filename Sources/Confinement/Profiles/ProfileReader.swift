import Bytes
import CSeccomp
import Commands
import Linux

/// What the conditions of a profile's rules are about.
public struct Circumstances: Sendable {
    /// The capabilities that the program can ever hold.
    public var bounding: CapabilitySet
    /// The kernel's version, `6.1` say, as major and minor.
    public var kernel: (major: UInt, minor: UInt)

    /// Those of this process.
    public static func current() throws(Failure) -> Circumstances {
        do throws(SystemError) {
            let release = try kernelRelease()
            return Circumstances(
                bounding: try CapabilityState.current().bounding,
                kernel: Circumstances.version(release) ?? (0, 0))
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
    static func read(_ text: [UInt8], file: ByteString, _ circumstances: Circumstances)
        throws(Failure) -> Profile
    {
        let root = try JSONValue.parse(text, file: file)
        let fields = try root.members(
            """
            defaultAction defaultErrnoRet defaultErrno architectures archMap syscalls flags \
            listenerPath listenerMetadata
            """)
        guard let action = fields[0] else { throw root.mistake("no defaultAction") }
        if let listener = fields[7] ?? fields[8] {
            throw listener.mistake("there is no process that listens")
        }
        var profile = Profile(
            defaultAction: try FilterAction(action, errno: fields[1], errnoName: fields[2]))
        try profile.readArchitectures(fields[3], map: fields[4])
        for flag in try fields[6]?.elements() ?? [] { profile.flags.insert(try FilterFlags(flag)) }
        for rule in try fields[5]?.elements() ?? [] {
            if let rule = try Rule(rule, circumstances) { profile.rules.append(rule) }
        }
        profile.closeTwins()
        return profile
    }

    /// Of the map only the entry of this architecture counts.
    private mutating func readArchitectures(_ list: JSONValue?, map: JSONValue?) throws(Failure) {
        var names = try list?.elements() ?? []
        let entries = try map?.elements() ?? []
        if let map, !names.isEmpty && !entries.isEmpty {
            throw map.mistake("architectures are listed already")
        }
        for entry in entries {
            let fields = try entry.members("architecture subArchitectures")
            guard let name = fields[0] else { throw entry.mistake("no architecture") }
            guard try Architecture(named: name) == .native else { continue }
            names = try fields[1]?.elements() ?? []
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
        if let errnoName, case let name = try errnoName.text(), !name.isEmpty {
            guard name.hasPrefix("E"), let known = namedConstant(name) else {
                throw errnoName.mistake("unknown error \(name)")
            }
            code = known
        }
        let names: StaticString =
            "ALLOW ERRNO TRACE LOG TRAP KILL_PROCESS KILL KILL_THREAD NOTIFY"
        switch try value.choice("SCMP_ACT_", names, "action") {
        case 0: self = .allow
        case 1: self = .fail(Errno(Int32(code)))
        case 2: self = .trace(UInt16(code))
        case 3: self = .log
        case 4: self = .trap
        case 5: self = .killProcess
        case 6, 7: self = .killThread
        default: throw value.mistake("there is no process that listens")
        }
    }
}

extension FilterFlags {
    fileprivate init(_ value: JSONValue) throws(Failure) {
        // This process has one thread for TSYNC; the last is for listeners.
        switch try value.choice(
            "SECCOMP_FILTER_FLAG_", "LOG SPEC_ALLOW TSYNC WAIT_KILLABLE_RECV", "flag")
        {
        case 0: self = .log
        case 1: self = .allowSpeculation
        default: self = []
        }
    }
}

extension Profile.Rule {
    /// A rule; nil when it is not for these circumstances.
    fileprivate init?(_ value: JSONValue, _ circumstances: Circumstances) throws(Failure) {
        let fields = try value.members(
            "name names action errnoRet errno args comment includes excludes")
        _ = try fields[6]?.text()
        guard let action = fields[2] else { throw value.mistake("no action") }
        place = value
        names = []
        for name in try fields[1]?.elements() ?? [] { names.append(try name.text()) }
        if let name = try fields[0]?.text(), !name.isEmpty {
            if !names.isEmpty { throw value.mistake("both name and names") }
            names = [name]
        }
        if names.isEmpty { throw value.mistake("no names") }
        self.action = try FilterAction(action, errno: fields[3], errnoName: fields[4])
        for argument in try fields[5]?.elements() ?? [] {
            arguments.append(try scmp_arg_cmp(argument))
        }
        let isExcluded = try fields[8].map { (value) throws(Failure) in
            try circumstances.meet(value, all: false)
        }
        let isIncluded = try fields[7].map { (value) throws(Failure) in
            try circumstances.meet(value, all: true)
        }
        if isExcluded == true || isIncluded == false { return nil }
    }
}

extension Circumstances {
    /// Whether these are the circumstances of a rule's `includes`, of which all must be met, or of its
    /// `excludes`, of which one is enough.
    fileprivate func meet(_ value: JSONValue, all: Bool) throws(Failure) -> Bool {
        let fields = try value.members("caps arches minKernel")
        var answers: [Bool] = []
        for capability in try fields[0]?.elements() ?? [] {
            guard let known = Capability(named: try capability.text()) else {
                throw capability.mistake("unknown capability \(try capability.text())")
            }
            answers.append(bounding.contains(known))
        }
        var names: [ByteString] = []
        for name in try fields[1]?.elements() ?? [] { names.append(try name.text()) }
        if !names.isEmpty { answers.append(names.contains(Architecture.native.goName)) }
        if let version = fields[2] {
            guard let least = Circumstances.version(try version.text()) else {
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
        let fields = try value.members("index value valueTwo op")
        guard let index = fields[0], let first = fields[1], let op = fields[3] else {
            throw value.mistake("index, value and op are needed")
        }
        guard try index.number() <= 5 else { throw index.mistake("not an argument from 0 to 5") }
        // In the order of libseccomp's enumeration, which begins with 1.
        let place = try op.choice("SCMP_CMP_", "NE LT LE EQ GE GT MASKED_EQ", "operator")
        self.init(
            arg: UInt32(try index.number()), op: scmp_compare(UInt32(place) + 1),
            datum_a: try first.number(),
            datum_b: try fields[2]?.number() ?? 0)
    }
}
