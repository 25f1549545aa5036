import Bytes
import Linux

/// A part of the process title, through which text scrolls from right to left.
struct TitleWindow {
    private let memory: UnsafeMutableRawBufferPointer

    /// The last word of the command line from its byte `start` on.
    init(_ word: LastWord, from start: Int) {
        memory = UnsafeMutableRawBufferPointer(rebasing: word.memory[start...])
    }

    /// Adds text at the end. NULs would end the title, and are left out.
    func scroll(_ text: some Sequence<UInt8>) {
        let added = text.filter { $0 != 0 }.suffix(memory.count)
        let kept = memory.count - added.count
        for index in 0..<kept { memory[index] = memory[index + added.count] }
        for (index, byte) in added.enumerated() { memory[kept + index] = byte }
    }
}
