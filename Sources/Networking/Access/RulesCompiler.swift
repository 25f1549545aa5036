import Bytes
import Commands
import Formats
import Linux

/// tcprules(1): compiles the rules read from `input` to `temporary` and moves that to `target`, so that
/// servers see the old rules or the new ones. When a line is wrong, the temporary file stays. Calls `warn`
/// with each line of which no client can ever meet a part, if it is given.
public func compileRules(
    from input: Int32, to target: ByteString, through temporary: ByteString,
    warn: ((ByteString) -> Void)? = nil
) throws(Failure) {
    let file = try createFile(temporary)
    let number = file.number
    var compiler = AccessRuleCompiler(findsUnreachable: warn != nil)
    let write = { (bytes: UnsafeRawBufferPointer) throws(Failure) in
        do throws(SystemError) { try writeAll(number, bytes) } catch {
            throw error.explained("unable to write to \(temporary)")
        }
    }
    try forEachLine(of: input) { (line) throws(Failure) in
        do throws(AccessRuleError) {
            if try !compiler.add(line) { warn?(ByteString(line.filter { $0 != lineFeed })) }
        } catch { throw explain(error, temporary) }
        try compiler.takeBlock(write)
    }
    do throws(AccessRuleError) { try compiler.complete() } catch {
        throw explain(error, temporary)
    }
    let header = try compiler.finish(write)
    do throws(SystemError) {
        try seek(file, to: 0)
        try writeAll(number, header)
    } catch { throw error.explained("unable to write to \(temporary)") }
    try publish(file, temporary, as: target)
}

private func explain(_ error: AccessRuleError, _ temporary: ByteString) -> Failure {
    switch error {
    case .unparsable(let line):
        Failure("unable to parse this line: \(ByteString(line))", exitCode: 100)
    case .tooLarge: Failure("unable to write to \(temporary)", .fileTooBig)
    }
}

private let lineFeed = UInt8(ascii: "\n")

/// Calls `body` with each line, its newline included if it has one.
private func forEachLine(
    of input: Int32, _ body: (ArraySlice<UInt8>) throws(Failure) -> Void
) throws(Failure) {
    var pending: [UInt8] = []
    let block = ByteBlock(count: 65536)
    while true {
        let count: Int
        do throws(SystemError) { count = try read(input, into: block.bytes) } catch {
            throw error.explained("unable to read input")
        }
        if count == 0 { break }
        let searched = pending.count
        pending.append(contentsOf: block[0..<count])
        var (start, from) = (0, searched)
        while let end = pending.withUnsafeBytes({
            offset(of: lineFeed, in: UnsafeRawBufferPointer(rebasing: $0[from...]))
        }) {
            let next = from + end + 1
            try body(pending[start..<next])
            (start, from) = (next, next)
        }
        pending.removeFirst(start)
    }
    if !pending.isEmpty { try body(pending[...]) }
}
