import Bytes
import CSeccomp
import Commands
import Linux

/// A table for people of what a policy does with every call: name, number, action.
public func explain(_ source: PolicySource) throws(Failure) -> [UInt8] {
    let filter = try source.filter()
    let native = Architecture.native.auditNumber
    var table = Table()
    for number in 0...UInt32(SystemCalls.highest) {
        guard let name = Architecture.native.callName(number) else { continue }
        let answers = filter.answers(to: number, of: native)
        var text = joined(answers.map { $0.text }, " or ")
        if answers.count > 1 { text = source.conditions(of: number, name) ?? text }
        table.add(name, "\(number)", text)
    }
    let newer = filter.answers(to: UInt32(SystemCalls.highest) + 1, of: native)
    table.add("newer calls", "", joined(newer.map { $0.text }, " or "))
    for architecture in source.otherArchitectures {
        table.add("calls of \(architecture.name)", "", "as those of the same name")
    }
    let others = filter.answers(to: 0, of: 0)
    table.add("other architectures", "", joined(others.map { $0.text }, " or "))
    for name in source.unknownNames { table.add(name, "", "not known, passed over") }
    return table.bytes
}

/// Lines in three columns.
private struct Table {
    var bytes: [UInt8] = []

    mutating func add(_ name: ByteString, _ number: ByteString, _ text: ByteString) {
        let blank = UInt8(ascii: " ")
        bytes +=
            name.bytes + [UInt8](repeating: blank, count: max(1, 30 - name.count - number.count))
        bytes += number.bytes + [blank, blank] + text.bytes + [UInt8(ascii: "\n")]
    }
}

private func joined(_ parts: [ByteString], _ separator: StaticString) -> ByteString {
    var text = parts.first ?? "cannot be told"
    for part in parts.dropFirst() { text.append("\(separator)\(part)" as ByteString) }
    return text
}

extension PolicySource {
    /// A call's conditions and actions as they are written; nil for what has been compiled.
    fileprivate func conditions(of number: UInt32, _ name: ByteString) -> ByteString? {
        switch self {
        case .compiled: return nil
        case .policy(let policy):
            var parts: [ByteString] = []
            for clause in policy.clauses[Int32(number)] {
                let condition = joined(
                    clause.condition.map { joined($0.map { $0.text }, " && ") }, " || ")
                parts.append(
                    clause.isUnconditional
                        ? "else \(clause.action.text)" : "\(condition): \(clause.action.text)")
                if clause.isUnconditional { return joined(parts, "; ") }
            }
            return joined(parts + ["else \(policy.defaultAction.text)"], "; ")
        case .profile(let profile):
            let rules = profile.effectiveRules.filter { $0.names.contains(name) }
            let parts = rules.map { rule -> ByteString in
                let condition = joined(
                    rule.alternatives.map { joined($0.map { $0.text }, " && ") }, " || ")
                return "\(condition): \(rule.action.text)"
            }
            return joined(parts + ["else \(profile.defaultAction.text)"], "; ")
        }
    }

    fileprivate var otherArchitectures: ArraySlice<Architecture> {
        if case .profile(let profile) = self { return profile.architectures.dropFirst() }
        return []
    }

    fileprivate var unknownNames: [ByteString] {
        if case .profile(let profile) = self { return profile.unknownNames }
        return []
    }
}

extension FilterAction {
    /// In the words of minijail's policies.
    var text: ByteString {
        switch self {
        case .allow: "allow"
        case .log: "log"
        case .trap: "trap"
        case .killThread: "kill-thread"
        case .killProcess: "kill-process"
        default: isTrace ? "trace" : "return \(errorText(Errno(Int32(rawValue & 0xffff))))"
        }
    }
}

private func errorText(_ errno: Errno) -> ByteString { errorName(errno) ?? "\(errno.code)" }

extension Comparison {
    fileprivate var text: ByteString {
        let sign: StaticString =
            switch relation {
            case .equal: "=="
            case .notEqual: "!="
            case .less: "<"
            case .lessOrEqual: "<="
            case .greater: ">"
            case .greaterOrEqual: ">="
            case .anyBit: "&"
            case .onlyBits: "in"
            }
        return "arg\(argument) \(sign) \(hexadecimal(value))"
    }
}

extension scmp_arg_cmp {
    fileprivate var text: ByteString {
        if op == SCMP_CMP_MASKED_EQ {
            return "arg\(arg) & \(hexadecimal(datum_a)) == \(hexadecimal(datum_b))"
        }
        let relation = ProfileRelation.allCases.first { $0.libseccompValue == op }
        return "arg\(arg) \(relation?.sign ?? "?") \(hexadecimal(datum_a))"
    }
}

/// A number as it is written in C, small ones in decimal.
func hexadecimal(_ value: UInt64) -> ByteString {
    if value < 10 { return "\(value)" }
    var text = Array("0x".utf8)
    appendHexadecimal(value, to: &text)
    return ByteString(text)
}
