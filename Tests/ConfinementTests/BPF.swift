import Linux

@testable import Confinement

/// What a filter sees of a system call, struct seccomp_data.
struct SeccompData {
    var number: Int32
    var architecture: UInt32
    var arguments: [UInt64] = [0, 0, 0, 0, 0, 0]

    func word(at offset: UInt32) -> UInt32? {
        switch offset {
        case 0: UInt32(bitPattern: number)
        case 4: architecture
        case 8, 12: 0
        case 16..<64:
            UInt32(
                truncatingIfNeeded: arguments[Int(offset - 16) / 8] >> (offset % 8 == 0 ? 0 : 32))
        default: nil
        }
    }
}

/// Runs a filter as the kernel does; nil when the kernel would have refused it.
func run(_ program: [FilterInstruction], _ data: SeccompData) -> UInt32? {
    var accumulator: UInt32 = 0
    var next = 0
    while program.indices.contains(next) {
        let instruction = program[next]
        next += 1
        let value = instruction.value
        var holds: Bool?
        switch instruction.code {
        case 0x20:
            guard let word = data.word(at: value) else { return nil }
            accumulator = word
        case 0x54: accumulator &= value
        case 0x05: next += Int(value)
        case 0x06: return value
        case 0x15: holds = accumulator == value
        case 0x25: holds = accumulator > value
        case 0x35: holds = accumulator >= value
        case 0x45: holds = accumulator & value != 0
        default: return nil
        }
        if let holds { next += Int(holds ? instruction.skipIfTrue : instruction.skipIfFalse) }
    }
    return nil
}

/// What a policy says of a call, told without a filter.
func decide(_ policy: Policy, _ number: Int32, _ arguments: [UInt64]) -> FilterAction {
    for clause in policy.clauses[number] {
        let holds =
            clause.isUnconditional
            || clause.condition.contains { $0.allSatisfy { $0.holds(for: arguments) } }
        if holds { return clause.action }
    }
    return policy.defaultAction
}

extension Comparison {
    func holds(for arguments: [UInt64]) -> Bool {
        let argument = arguments[self.argument]
        return switch relation {
        case .equal: argument == value
        case .notEqual: argument != value
        case .less: argument < value
        case .lessOrEqual: argument <= value
        case .greater: argument > value
        case .greaterOrEqual: argument >= value
        case .anyBit: argument & value != 0
        case .onlyBits: argument & ~value == 0
        }
    }
}
