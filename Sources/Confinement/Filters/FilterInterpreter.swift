import Bytes
import Commands
import Linux

// Runs a filter outside the kernel, to tell how it answers calls that nobody has made.
extension SystemCallFilter {
    /// The answers that the filter can give, each once, when `word` tells the 32 bits at an offset of
    /// struct seccomp_data, or nil where they may be anything. None for a filter with instructions that
    /// no compiler of filters makes.
    func answers(_ word: (UInt32) -> UInt32?) -> [FilterAction] {
        var answers: [FilterAction] = []
        // The values that the accumulator can have at each instruction; nil is any value. Jumps only go
        // forward, so they are complete when an instruction is reached.
        var accumulators = [[UInt32?]](repeating: [], count: instructions.count)
        if !accumulators.isEmpty { accumulators[0] = [0] }
        for (place, instruction) in instructions.enumerated() {
            for accumulator in accumulators[place] {
                if instruction.operation == .answer {
                    let action = FilterAction(rawValue: instruction.value)
                    if !answers.contains(action) { answers.append(action) }
                    continue
                }
                guard let step = instruction.step(accumulator, word) else { return [] }
                for distance in step.distances {
                    let next = place + 1 + distance
                    guard next < accumulators.count else { return [] }
                    if !accumulators[next].contains(step.accumulator) {
                        accumulators[next].append(step.accumulator)
                    }
                }
            }
        }
        return answers
    }

    /// The answers to a call whose arguments may be anything.
    func answers(to number: UInt32, of architecture: UInt32) -> [FilterAction] {
        answers { offset in
            switch offset {
            case FilterAssembler.Field.number: number
            case FilterAssembler.Field.architecture: architecture
            default: nil
            }
        }
    }

    /// The answer to a call that is made.
    func answer(to notice: SystemCallNotice) -> FilterAction {
        answers { notice.word(at: $0) }.first ?? .killProcess
    }
}

extension FilterInstruction {
    /// The accumulator afterwards, and how many instructions may be skipped; nil for an
    /// instruction that is not known.
    fileprivate func step(_ accumulator: UInt32?, _ word: (UInt32) -> UInt32?)
        -> (accumulator: UInt32?, distances: [Int])?
    {
        let holds: Bool?
        switch operation {
        case .jump: return (accumulator, [Int(value)])
        case .load: return (word(value), [0])
        case .and: return (accumulator.map { $0 & value }, [0])
        case .jumpIfEqual: holds = accumulator.map { $0 == value }
        case .jumpIfGreater: holds = accumulator.map { $0 > value }
        case .jumpIfGreaterOrEqual: holds = accumulator.map { $0 >= value }
        case .jumpIfAnyBit: holds = accumulator.map { $0 & value != 0 }
        case .answer, nil: return nil
        }
        let (ifTrue, ifFalse) = (Int(skipIfTrue), Int(skipIfFalse))
        return (accumulator, holds.map { [$0 ? ifTrue : ifFalse] } ?? [ifTrue, ifFalse])
    }
}
