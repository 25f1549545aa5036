import Bytes
import Commands
import Linux

/// envdir(8): sets the variables that a directory's files hold and becomes the child.
func envdir(_ call: Call) throws(Failure) -> Outcome {
    let words = call.arguments.dropFirst()
    guard let directory = words.first, words.count > 1 else {
        throw Failure(usage: "envdir dir child", exitCode: 111)
    }
    var environment = call.environment
    try read(directory, into: &environment)
    return .become(
        Invocation(
            command: words.dropFirst(), environment: environment, search: call.environment))
}

private func read(_ path: ByteString, into environment: inout Environment) throws(Failure) {
    let start: Descriptor
    do throws(SystemError) { start = try openFile(".", .read) } catch {
        throw error.explained("unable to switch to current directory")
    }
    do throws(SystemError) { try changeDirectory(path) } catch {
        throw error.explained("unable to switch to directory \(path)")
    }
    let names: [ByteString]
    do throws(SystemError) { names = try entries(of: ".") } catch {
        throw error.explained("unable to read directory \(path)")
    }
    for name in names where name[0] != UInt8(ascii: ".") {
        do throws(SystemError) { try read(file: name, into: &environment) } catch {
            throw error.explained("unable to read \(path)/\(name)")
        }
    }
    do throws(SystemError) { try changeDirectory(to: start) } catch {
        throw error.explained("unable to switch to starting directory")
    }
}

/// An empty file unsets its variable; else the first line is the value, without the blanks at its
/// end and with newlines for its NULs.
private func read(file name: ByteString, into environment: inout Environment)
    throws(SystemError)
{
    let line = try firstLine(of: name)
    // `NAME=VALUE` is split at its first `=`, which may be in the file's name.
    var variable = Array(name.bytes)
    if let line {
        variable.append(UInt8(ascii: "="))
        variable += line.map { $0 == 0 ? UInt8(ascii: "\n") : $0 }
    }
    guard let split = variable.firstIndex(of: UInt8(ascii: "=")) else {
        return environment.unset(name)
    }
    environment.set(ByteString(variable[..<split]), ByteString(variable[(split + 1)...]))
}

/// The first line without blanks at its end; nil when the file is empty. Reading stops where no exec
/// would take the value any more: the kernel allows 128 KiB for one.
private func firstLine(of name: ByteString) throws(SystemError) -> [UInt8]? {
    let file = try openFile(name, .read)
    var line: [UInt8] = []
    var isWhole = false
    // No more than fits on the stack.
    try withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 1) {
        (buffer) throws(SystemError) in
        while !isWhole && line.count <= 1 << 17 {
            let block = buffer[..<(try file.read(into: buffer))]
            if block.isEmpty { return }
            let end = block.firstIndex(of: UInt8(ascii: "\n"))
            line.append(contentsOf: block[..<(end ?? block.endIndex)])
            isWhole = end != nil
        }
    }
    if line.isEmpty && !isWhole { return nil }
    while let last = line.last, last == UInt8(ascii: " ") || last == UInt8(ascii: "\t") {
        line.removeLast()
    }
    return line
}
