import Bytes
import Commands
import Formats
import Linux

/// tcprules(1): compiles the rules read from `input` to `temporary` and moves that to `target`, so that
/// servers see the old rules or the new ones. When a line is wrong, the temporary file stays.
public func compileRules(from input: Int32, to target: ByteString, through temporary: ByteString)
    throws(Failure)
{
    let file = try createFile(temporary)
    var compiler = AccessRuleCompiler()
    try forEachLine(of: input) { (line) throws(Failure) in
        do throws(AccessRuleError) { try compiler.add(line) } catch {
            throw explain(error, temporary)
        }
    }
    let bytes: [UInt8]
    do { bytes = try compiler.finish() } catch { throw explain(error, temporary) }
    try publish(file, bytes, temporary, as: target)
}

private func explain(_ error: AccessRuleError, _ temporary: ByteString) -> Failure {
    switch error {
    case .unparsable(let line):
        Failure("unable to parse this line: \(ByteString(line))", exitCode: 100)
    case .tooLarge: Failure("unable to write to \(temporary)", .fileTooBig)
    }
}

/// Calls `body` with each line, its newline included if it has one.
private func forEachLine(
    of input: Int32, _ body: (ArraySlice<UInt8>) throws(Failure) -> Void
) throws(Failure) {
    var pending: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 16384)
    while true {
        let count = try readBlock(input, &block)
        if count == 0 { break }
        pending.append(contentsOf: block[..<count])
        var start = 0
        while let end = pending[start...].firstIndex(of: UInt8(ascii: "\n")) {
            try body(pending[start...end])
            start = end + 1
        }
        pending.removeFirst(start)
    }
    if !pending.isEmpty { try body(pending[...]) }
}

private func readBlock(_ input: Int32, _ block: inout [UInt8]) throws(Failure) -> Int {
    do {
        return try block.withUnsafeMutableBufferPointer { (buffer) throws(SystemError) in
            try read(input, into: UnsafeMutableRawBufferPointer(buffer))
        }
    } catch { throw error.explained("unable to read input") }
}
