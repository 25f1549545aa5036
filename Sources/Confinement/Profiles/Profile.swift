import Bytes
import CSeccomp
import Commands
import Linux

/// A profile in the JSON of OCI and Docker, its conditions on the machine resolved. What its rules
/// mean together is what libseccomp makes of them, as under podman and Docker: the rules of one call
/// are merged, not gone through in order.
public struct Profile {
    /// What becomes of some calls.
    struct Rule {
        /// Where it is written, and the calls' names.
        var place: JSONValue
        var names: [ByteString]
        var action: FilterAction
        /// All hold. None at all: always.
        var arguments: [scmp_arg_cmp] = []

        /// What libseccomp is told. As in runc, two comparisons of one argument, of which libseccomp
        /// knows only one in a rule, become a rule each, and so do all others with them.
        var alternatives: [[scmp_arg_cmp]] {
            let isTwice = arguments.contains { one in
                arguments.lazy.filter { $0.arg == one.arg }.count > 1
            }
            return isTwice ? arguments.map { [$0] } : [arguments]
        }
    }

    var defaultAction: FilterAction
    /// This architecture first, then those whose calls are filtered too and not refused.
    var architectures: [Architecture] = [.native]
    var rules: [Rule] = []
    /// Flags for seccomp(2).
    var flags: FilterFlags = []

    /// The names that no call has, as far as is known. Their rules have no effect.
    var unknownNames: [ByteString] {
        rules.flatMap { $0.names }.filter { SystemCalls.meaning(of: $0) == .unknown }
    }

    /// Rules that differ from the default, and those for twins; libseccomp takes no others.
    var effectiveRules: [Rule] {
        (rules + rulesForTwins).filter { $0.action != defaultAction }
    }

    /// Where a profile looks at a call's flags, and does not name the call's twin, that does not
    /// exist, as in other policies.
    private var rulesForTwins: [Rule] {
        Policy.twins.compactMap { (call, twin) in
            let rule = rules.first { rule in
                !rule.arguments.isEmpty && rule.names.contains { $0.isSpelled(call) }
            }
            let isNamed = rules.contains { $0.names.contains { $0.isSpelled(twin) } }
            guard let rule, !isNamed else { return nil }
            return Rule(place: rule.place, names: ["\(twin)"], action: .noSystemCall)
        }
    }
}

extension SystemCallFilter {
    /// Compiles a profile with libseccomp. In front goes what runc puts there: calls newer than the
    /// newest that the profile names do not exist. So do the rules of calls newer than libseccomp.
    init(_ profile: Profile) throws(Failure) {
        let body = try libseccompProgram(profile.defaultAction, profile.architectures) {
            (context) throws(Failure) in
            for rule in profile.effectiveRules { try rule.add(to: context) }
        }
        var assembler = FilterAssembler(before: body)
        let start = assembler.start
        var entries: [(architecture: UInt32, label: FilterAssembler.Label)] = []
        for architecture in profile.architectures {
            let known = entries.firstIndex { $0.architecture == architecture.auditNumber }
            let other = known.map { entries[$0].label } ?? start
            let tests = try assembler.addTests(profile, architecture, otherwise: start)
            let entry = assembler.enter(architecture, tests, otherwise: other)
            if let known {
                entries[known].label = entry
            } else {
                entries.append((architecture.auditNumber, entry))
            }
        }
        try self.init(assembler, entries, otherwise: start, flags: profile.flags)
    }
}

extension Profile.Rule {
    /// Adds it to libseccomp's filter.
    fileprivate func add(to context: scmp_filter_ctx) throws(Failure) {
        for name in names {
            let number = name.withCString { seccomp_syscall_resolve_name($0) }
            if number == __NR_SCMP_ERROR { continue }
            for comparisons in alternatives {
                let result = seccomp_rule_add_array(
                    context, action.rawValue, number, UInt32(comparisons.count), comparisons)
                if result == -Errno.exists.code {
                    throw place.mistake("another rule for \(name) says otherwise")
                }
                if result < 0 {
                    throw Failure("unable to compile the rule for \(name)", Errno(-result))
                }
            }
        }
    }
}

extension FilterAssembler {
    /// Tests for calls that libseccomp does not know, and for those that the profile cannot have meant.
    fileprivate mutating func addTests(
        _ profile: Profile, _ architecture: Architecture, otherwise: Label
    ) throws(Failure) -> Label {
        var next = otherwise
        for rule in profile.effectiveRules.reversed() {
            for name in rule.names {
                guard let number = architecture.number(of: name),
                    name.withCString({ seccomp_syscall_resolve_name($0) }) == __NR_SCMP_ERROR
                else { continue }
                if !rule.arguments.isEmpty {
                    throw rule.place.mistake("the arguments of \(name) cannot be looked at")
                }
                next = branch(.equal, number, ifTrue: end(rule.action), ifFalse: next)
            }
        }
        // What the profile itself names, not what was added for its twins.
        var newest = profile.rules.lazy.flatMap { $0.names }
            .compactMap { architecture.number(of: $0) }.max()
        switch profile.defaultAction {
        case .log: return next
        case .allow: newest = max(newest ?? 0, architecture.highest)
        default: if profile.defaultAction.isTrace { return next }
        }
        guard let newest else { return next }
        return branch(.greater, newest, ifTrue: end(.noSystemCall), ifFalse: next)
    }

    /// Goes to `tests` with a number of this architecture, of which one may have two kinds.
    fileprivate mutating func enter(
        _ architecture: Architecture, _ tests: Label, otherwise: Label
    ) -> Label {
        architecture.isX32
            ? branch(.greaterOrEqual, Architecture.x32Bit, ifTrue: tests, ifFalse: otherwise)
            : branch(.greaterOrEqual, Architecture.x32Bit, ifTrue: otherwise, ifFalse: tests)
    }
}
