import Bytes
import CSeccomp
import Linux
import Testing

@testable import Confinement

/// What is said of calls, to be written in each format: of groups first, then of calls by name, later
/// words before earlier ones. `nil` is what the default says.
private struct Statement {
    var name: String
    var errno: Int32?
    var isAllowed: Bool { errno == nil }
}

private struct Model {
    var allowsByDefault = false
    var statements: [Statement] = []
    /// Alternatives of comparisons that all hold, under which a call is allowed that is not by default.
    var conditions: [(name: String, alternatives: [[Comparison]])] = []

    /// In the manner of systemd's SystemCallFilter=.
    var list: String {
        statements.map { statement in
            // From the first word that is taken away on, all are.
            guard let errno = statement.errno else { return statement.name }
            return "~\(statement.name):\(errno)"
        }.joined(separator: " ")
    }

    /// In minijail's format.
    var policy: String {
        var lines = [allowsByDefault ? "@denylist" : "@default return EPERM\n@default: 1"]
        for statement in statements {
            lines.append("\(statement.name): \(statement.errno.map { "return \($0)" } ?? "allow")")
        }
        for (name, alternatives) in conditions {
            let text = alternatives.map { alternative in
                alternative.map { comparison in
                    let sign =
                        switch comparison.relation {
                        case .equal: "=="
                        case .notEqual: "!="
                        case .less: "<"
                        case .lessOrEqual: "<="
                        case .greater: ">"
                        case .greaterOrEqual: ">="
                        case .anyBit: "&"
                        case .onlyBits: "in"
                        }
                    return "arg\(comparison.argument) \(sign) \(comparison.value)"
                }.joined(separator: " && ")
            }
            lines.append("\(name): \(text.joined(separator: " || "))")
        }
        return lines.joined(separator: "\n")
    }

    /// In the JSON of OCI, which knows no groups. A rule that is the default's names the newest call.
    var profile: String {
        var actions: [String: Int32?] = [:]
        if !allowsByDefault { for name in members("@default") { actions[name] = .some(nil) } }
        for statement in statements {
            for name in members(statement.name) { actions[name] = .some(statement.errno) }
        }
        var rules = actions.sorted { $0.key < $1.key }.map { rule($0.key, $0.value) }
        for (name, alternatives) in conditions {
            rules += alternatives.map { rule(name, nil, $0.map(argument)) }
        }
        let newest = String(
            decoding: Architecture.native.callName(UInt32(SystemCalls.highest))?.bytes ?? [],
            as: UTF8.self)
        if actions[newest] == nil {
            rules.append(rule(newest, allowsByDefault ? nil : 1))
        }
        let action = allowsByDefault ? "SCMP_ACT_ALLOW" : "SCMP_ACT_ERRNO"
        return "{\"defaultAction\": \"\(action)\", \"syscalls\": [\(rules.joined(separator: ","))]}"
    }

    private func members(_ name: String) -> [String] {
        guard name.hasPrefix("@") else { return [name] }
        return (SystemCallGroups.members(of: ByteString(name)) ?? []).flatMap {
            members(String(decoding: $0.bytes, as: UTF8.self))
        }
    }

    private func rule(_ name: String, _ errno: Int32?, _ arguments: [String] = []) -> String {
        let action = errno.map { "\"SCMP_ACT_ERRNO\", \"errnoRet\": \($0)" } ?? "\"SCMP_ACT_ALLOW\""
        return """
            {"names": ["\(name)"], "action": \(action), "args": [\(arguments.joined(separator: ","))]}
            """
    }

    private func argument(_ comparison: Comparison) -> String {
        let (op, value) =
            switch comparison.relation {
            case .equal: ("EQ", "\(comparison.value)")
            case .notEqual: ("NE", "\(comparison.value)")
            case .less: ("LT", "\(comparison.value)")
            case .lessOrEqual: ("LE", "\(comparison.value)")
            case .greater: ("GT", "\(comparison.value)")
            case .greaterOrEqual: ("GE", "\(comparison.value)")
            // No bit outside of these: none of the others.
            case .onlyBits: ("MASKED_EQ", "\(~comparison.value), \"valueTwo\": 0")
            case .anyBit: ("", "")
            }
        return """
            {"index": \(comparison.argument), "op": "SCMP_CMP_\(op)", "value": \(value)}
            """
    }
}

@Suite("One policy in several formats")
struct EquivalenceTests {
    private static let names = (0...SystemCalls.highest).compactMap {
        Architecture.native.callName(UInt32($0)).map { String(decoding: $0.bytes, as: UTF8.self) }
    }
    private static let groups = SystemCallGroups.names.map {
        String(decoding: $0.bytes, as: UTF8.self)
    }.filter { $0 != "@default" }
    private static let values: [UInt64] = [0, 1, 2, 3, 0xffff_ffff, 0x1_0000_0001, ~0]

    private func profileTarget() -> ProfileTarget { ProfileTarget(bounding: [], kernel: (6, 1)) }

    private func fromPolicy(_ model: Model) throws -> SystemCallFilter {
        try PolicySource.read(Array(model.policy.utf8), file: "policy").uncheckedFilter()
    }

    private func fromProfile(_ model: Model) throws -> SystemCallFilter {
        try PolicySource.read(Array(model.profile.utf8), file: "profile", profileTarget())
            .uncheckedFilter()
    }

    /// Calls that have names, some beyond, those of x32 and what a tracer skips, and other
    /// architectures'.
    private func calls() -> [(architecture: UInt32, number: Int32)] {
        let native =
            Array(0...(SystemCalls.highest + 3)) + [0x3fff_ffff, 0x4000_0000, 0x4000_0101, -1]
        let others = ["x86", "x86_64", "aarch64"].map { (name: String) in
            seccomp_arch_resolve_name(name)
        }
        return native.map { (Architecture.native.auditNumber, $0) }
            + others.filter { $0 != Architecture.native.auditNumber }
            .flatMap { other in [0, 1, 100, SystemCalls.highest, -1].map { (other, $0) } }
    }

    private func expectSame(
        _ one: SystemCallFilter, _ other: SystemCallFilter, _ arguments: [UInt64], _ comment: String
    ) {
        for (architecture, number) in calls() {
            let data = SeccompData(
                number: number, architecture: architecture, arguments: arguments)
            #expect(
                run(one.instructions, data) == run(other.instructions, data),
                "\(number) of \(architecture), \(comment)")
        }
    }

    private func randomModel(_ generator: inout Generator) -> Model {
        var model = Model(allowsByDefault: generator.once(in: 2))
        let errors: [Int32] = [1, 2, 13, 38]
        var allowed: [Statement] = []
        var denied: [Statement] = []
        func add(_ name: String, _ isDenied: Bool) {
            if isDenied {
                denied.append(Statement(name: name, errno: generator.pick(errors)))
            } else {
                allowed.append(Statement(name: name))
            }
        }
        let denies = model.allowsByDefault
        // A list that begins with what is denied would allow all else.
        if !denies { allowed.append(Statement(name: "read")) }
        for _ in 0..<Int.random(in: 0...4, using: &generator) {
            add(generator.pick(EquivalenceTests.groups), denies)
        }
        for name in EquivalenceTests.names.shuffled(using: &generator)
            .prefix(Int.random(in: 1...60, using: &generator)) where name != "read"
        {
            add(name, denies || generator.once(in: 3))
        }
        model.statements = allowed + denied
        return model
    }

    @Test("Lists, minijail's policies and JSON decide the same for every call")
    func threeFormats() throws {
        var generator = Generator(state: 41)
        for _ in 0..<40 {
            let model = randomModel(&generator)
            let policy = try fromPolicy(model)
            let list = try SystemCallFilter(
                Policy(list: ByteString(model.list), option: "list"))
            let arguments = (0..<6).map { _ in generator.pick(EquivalenceTests.values) }
            expectSame(policy, list, arguments, model.list)
            expectSame(policy, try fromProfile(model), arguments, model.list)
        }
    }

    private func randomConjunction(_ generator: inout Generator) -> [Comparison] {
        let relations: [Comparison.Relation] = [
            .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .onlyBits,
        ]
        return (0..<6).shuffled(using: &generator)
            .prefix(Int.random(in: 1...3, using: &generator)).map { argument in
                Comparison(
                    argument: argument, relation: generator.pick(relations),
                    value: generator.pick(EquivalenceTests.values))
            }
    }

    @Test("Conditions in minijail's policies and in JSON decide the same")
    func conditions() throws {
        var generator = Generator(state: 42)
        // Of several rules for one call that compare different arguments, libseccomp 2.5.4 makes
        // something else, or does not come to an end. So alternatives are values of one argument.
        for _ in 0..<60 {
            var model = Model()
            for name in EquivalenceTests.names.shuffled(using: &generator).prefix(12) {
                let argument = Int.random(in: 0...5, using: &generator)
                let alternatives =
                    generator.once(in: 2)
                    ? EquivalenceTests.values.shuffled(using: &generator).prefix(3).map {
                        [Comparison(argument: argument, relation: .equal, value: $0)]
                    }
                    : [randomConjunction(&generator)]
                let isDecided = SystemCallGroups.members(of: "@default")?
                    .contains(ByteString(name))
                // libseccomp must know a call whose arguments are looked at.
                if isDecided == false && seccomp_syscall_resolve_name(name) >= 0 {
                    model.conditions.append((name, alternatives))
                }
            }
            let (policy, profile) = (try fromPolicy(model), try fromProfile(model))
            for _ in 0..<12 {
                let arguments = (0..<6).map { _ in generator.pick(EquivalenceTests.values) }
                expectSame(policy, profile, arguments, model.policy)
            }
        }
    }

    @Test("What was compiled to a file and read again is the same filter")
    func files() throws {
        var generator = Generator(state: 43)
        for _ in 0..<20 {
            let filter = try fromPolicy(randomModel(&generator))
            #expect(try SystemCallFilter(file: filter.file, name: "file") == filter)
            let profile = try fromProfile(randomModel(&generator))
            #expect(try SystemCallFilter(file: profile.file, name: "file") == profile)
        }
    }

    @Test("What is told of a call is all that the filter can answer, and nothing else")
    func answers() throws {
        var generator = Generator(state: 44)
        let comparison = Comparison(argument: 1, relation: .less, value: 2)
        for _ in 0..<10 {
            var model = randomModel(&generator)
            model.allowsByDefault = false
            model.statements.removeAll { $0.name == "mount" }
            model.conditions = [("mount", [[comparison]])]
            let filter = try fromPolicy(model)
            for number in 0...SystemCalls.highest {
                let native = Architecture.native.auditNumber
                let told = filter.answers(to: UInt32(number), of: native).map { $0.rawValue }
                var seen: Set<UInt32> = []
                for value in [0, 1, 2, 1 << 32] as [UInt64] {
                    let data = SeccompData(
                        number: number, architecture: native, arguments: [9, value, 9, 9, 9, 9])
                    if let answer = run(filter.instructions, data) { seen.insert(answer) }
                    let exact = filter.answers { data.word(at: $0) }
                    #expect(exact.map { $0.rawValue } == [run(filter.instructions, data)])
                }
                #expect(Set(told) == seen && told.count == seen.count)
            }
        }
    }
}
