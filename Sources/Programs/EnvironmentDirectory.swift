import Bytes
import Commands
import Formats
import Linux

/// A directory whose files hold the variables of an environment, each as `EnvironmentFile` has it.
struct EnvironmentDirectory {
    private let path: ByteString
    /// What is between what could not be done and the directory's name in messages.
    private let separator: ByteString
    /// Told of each directory in it, and why it is no file, if these are passed over.
    private let passOver: ((_ path: ByteString, Errno) -> Void)?

    /// The directory at `path`. A directory in it is an error, unless `passOver` is given.
    init(
        _ path: ByteString, separator: ByteString = " ",
        passOver: ((_ path: ByteString, Errno) -> Void)? = nil
    ) {
        self.path = path
        self.separator = separator
        self.passOver = passOver
    }

    /// Sets the variables in `environment`, and removes those whose files are empty. Names that begin with a
    /// dot are no variables.
    func read(into environment: inout Environment) throws(Failure) {
        let start: Descriptor
        do throws(SystemError) { start = try openFile(".", .read) } catch {
            throw error.explained("unable to switch to current directory")
        }
        do throws(SystemError) { try changeDirectory(path) } catch {
            throw error.explained("unable to switch to directory\(separator)\(path)")
        }
        let names: [ByteString]
        do throws(SystemError) { names = try entries(of: ".") } catch {
            throw error.explained("unable to read directory\(separator)\(path)")
        }
        for name in names where name[0] != UInt8(ascii: ".") {
            do throws(SystemError) { try read(file: name, into: &environment) } catch {
                if error.errno == .isDirectory, let passOver {
                    passOver("\(path)/\(name)", error.errno)
                    continue
                }
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
}
