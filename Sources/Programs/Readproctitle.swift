import Bytes
import Commands
import Linux

/// readproctitle(8): shows the end of what it reads in its process title.
func readproctitle(_ call: Call) throws(Failure) -> Outcome {
    guard call.arguments.count > 1, let last = LastWord(of: call.arguments) else {
        return .exit(100)
    }
    for index in last.memory.indices { last.memory[index] = UInt8(ascii: ".") }
    if last.memory.count < 5 { return .exit(100) }
    // The first three dots stay: there was more.
    let window = TitleWindow(last, from: 3)
    var block = [UInt8](repeating: 0, count: 4096)
    while true {
        do throws(SystemError) {
            let count = try block.withUnsafeMutableBufferPointer {
                (buffer) throws(SystemError) -> Int in
                try read(Standard.input, into: UnsafeMutableRawBufferPointer(buffer))
            }
            if count == 0 { return .exit(0) }
            window.scroll(block[..<count])
        } catch {
            return .exit(111)
        }
    }
}
