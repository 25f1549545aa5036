import Bytes
import Commands
import Linux

/// Assembles a BPF program from its end to its start, so that the target of every jump is known when the
/// jump is made. BPF jumps only forward; a conditional jump skips at most 255 instructions.
struct FilterAssembler {
    /// An instruction, by the number of instructions after it.
    typealias Label = Int

    /// Offsets in struct seccomp_data, which describes a call.
    enum Field {
        static let number: UInt32 = 0
        static let architecture: UInt32 = 4

        /// The two halves of an argument.
        static func argument(_ index: Int) -> (low: UInt32, high: UInt32) {
            let start = 16 + 8 * UInt32(index)
            return 1.littleEndian == 1 ? (start, start + 4) : (start + 4, start)
        }
    }

    /// A test of what was loaded last against a constant.
    enum Test {
        case equal, greater, greaterOrEqual, anyBit

        fileprivate var operation: FilterInstruction.Operation {
            switch self {
            case .equal: .jumpIfEqual
            case .greater: .jumpIfGreater
            case .greaterOrEqual: .jumpIfGreaterOrEqual
            case .anyBit: .jumpIfAnyBit
            }
        }
    }

    private var reversed: [FilterInstruction]

    /// Begins with `program`, which may be empty; what is assembled goes in front of it.
    init(before program: [FilterInstruction]) { reversed = program.reversed() }

    /// The program, first instruction first.
    var program: [FilterInstruction] { reversed.reversed() }

    /// The first instruction of the program so far.
    var start: Label { reversed.count - 1 }

    /// Ends with an action.
    mutating func end(_ action: FilterAction) -> Label {
        append(FilterInstruction(.answer, action.rawValue))
    }

    /// Loads 32 bits and continues at `next`.
    mutating func load(_ field: UInt32, then next: Label) -> Label {
        if next != start { _ = jump(to: next) }
        return append(FilterInstruction(.load, field))
    }

    /// Tests what was loaded last.
    mutating func branch(_ test: Test, _ value: UInt32, ifTrue: Label, ifFalse: Label) -> Label {
        let ifTrue = reach(ifTrue)
        let ifFalse = reach(ifFalse)
        return append(
            FilterInstruction(
                test.operation, value, ifTrue: UInt8(reversed.count - 1 - ifTrue),
                ifFalse: UInt8(reversed.count - 1 - ifFalse)))
    }

    /// Tests an argument, 64 bits in two halves.
    mutating func branch(_ comparison: Comparison, ifTrue: Label, ifFalse: Label) -> Label {
        let (low, high) = Field.argument(comparison.argument)
        let lowValue = UInt32(truncatingIfNeeded: comparison.value)
        let highValue = UInt32(truncatingIfNeeded: comparison.value >> 32)
        switch comparison.relation {
        case .equal:
            let rest = branch(.equal, lowValue, ifTrue: ifTrue, ifFalse: ifFalse)
            let next = load(low, then: rest)
            return load(
                high, then: branch(.equal, highValue, ifTrue: next, ifFalse: ifFalse))
        case .greater, .greaterOrEqual:
            let test: Test = comparison.relation == .greater ? .greater : .greaterOrEqual
            let rest = branch(test, lowValue, ifTrue: ifTrue, ifFalse: ifFalse)
            let next = load(low, then: rest)
            let same = branch(.equal, highValue, ifTrue: next, ifFalse: ifFalse)
            return load(
                high, then: branch(.greater, highValue, ifTrue: ifTrue, ifFalse: same))
        case .anyBit:
            let rest = branch(.anyBit, lowValue, ifTrue: ifTrue, ifFalse: ifFalse)
            let next = load(low, then: rest)
            return load(
                high, then: branch(.anyBit, highValue, ifTrue: ifTrue, ifFalse: next))
        case .notEqual, .less, .lessOrEqual, .onlyBits:
            return branch(comparison.negated, ifTrue: ifFalse, ifFalse: ifTrue)
        }
    }

    private mutating func append(_ instruction: FilterInstruction) -> Label {
        reversed.append(instruction)
        return start
    }

    private mutating func jump(to target: Label) -> Label {
        append(FilterInstruction(.jump, UInt32(reversed.count - 1 - target)))
    }

    /// `target`, or a jump to it where it is too far away for a conditional jump.
    private mutating func reach(_ target: Label) -> Label {
        reversed.count - target < 250 ? target : jump(to: target)
    }
}

extension Comparison {
    /// What holds when this does not.
    var negated: Comparison {
        var negated = self
        switch relation {
        case .equal: negated.relation = .notEqual
        case .notEqual: negated.relation = .equal
        case .less: negated.relation = .greaterOrEqual
        case .lessOrEqual: negated.relation = .greater
        case .greater: negated.relation = .lessOrEqual
        case .greaterOrEqual: negated.relation = .less
        case .anyBit: (negated.relation, negated.value) = (.onlyBits, ~value)
        case .onlyBits: (negated.relation, negated.value) = (.anyBit, ~value)
        }
        return negated
    }
}
