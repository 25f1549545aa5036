import Bytes
import Commands
import Formats
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

private func read(file name: ByteString, into environment: inout Environment)
    throws(SystemError)
{
    let file = EnvironmentFile(name: name, content: try firstLine(of: name))
    if let value = file.value {
        environment.set(file.variable, value)
    } else {
        environment.unset(file.variable)
    }
}

/// The content up to the first newline and a little more. Reading stops where no exec would take the
/// value any more.
private func firstLine(of name: ByteString) throws(SystemError) -> [UInt8] {
    let file = try openFile(name, .read)
    var line: [UInt8] = []
    // No more than fits on the stack.
    try withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 1) {
        (buffer) throws(SystemError) in
        while line.count <= EnvironmentFile.lineLimit {
            let block = buffer[..<(try file.read(into: buffer))]
            line.append(contentsOf: block)
            if block.isEmpty || block.contains(UInt8(ascii: "\n")) { return }
        }
    }
    return line
}
