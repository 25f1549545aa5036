import Bytes
import CSeccomp
import Commands
import Linux

/// A profile in the JSON of OCI and Docker, without the rules whose conditions on the machine do not
/// hold. libseccomp compiles the rules, as under podman and Docker: it merges those of one call, and
/// knows no order.
public struct Profile {
    /// An action for some calls.
    struct Rule {
        /// Where it is written, and the calls' names.
        var place: JSONValue
        var names: [ByteString]
        var action: FilterAction
        /// All hold. None at all: always.
        var arguments: [scmp_arg_cmp] = []

        /// The comparisons as libseccomp gets them. It takes only one comparison of an argument in a
        /// rule. As in runc, a rule with two of them becomes one rule for each comparison.
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

    /// Rules that make a call's twin fail with ENOSYS, as in other policies: where the profile looks at the
    /// call's flags and does not name the twin.
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
    /// Compiles a profile with libseccomp. As in runc, calls newer than the newest that the profile names
    /// fail with ENOSYS; the test for them goes in front. So do tests for calls newer than libseccomp.
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
        // Of the names in the profile itself, without the twins that were added.
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

    /// Goes to `tests` if the number is one of this architecture: x86-64 and x32 differ only in it.
    fileprivate mutating func enter(
        _ architecture: Architecture, _ tests: Label, otherwise: Label
    ) -> Label {
        architecture.isX32
            ? branch(.greaterOrEqual, Architecture.x32Bit, ifTrue: tests, ifFalse: otherwise)
            : branch(.greaterOrEqual, Architecture.x32Bit, ifTrue: otherwise, ifFalse: tests)
    }
}
