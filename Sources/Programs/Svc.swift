import Bytes
import Commands
import Linux
import Services
import Supervision

/// svc(8): sends commands to supervised services.
func svc(_ call: Call) throws(Failure) -> Outcome {
    let letters = ByteString(Command.allCases.map { $0.rawValue })
    var options = OptionReader(call.arguments, short: letters, messages: call.messages)
    var commands: [UInt8] = []
    while let option = options.next() {
        guard case .option(let letter, _) = option else { return try usage() }
        let command = UInt8(truncatingIfNeeded: letter.value)
        if !commands.contains(command) { commands.append(command) }
    }
    let start: Descriptor
    do throws(SystemError) { start = try openFile(".", .read) } catch {
        throw error.explained("unable to open current directory")
    }
    // A service may stop being supervised while it is written to.
    do throws(SystemError) { try setDisposition(.pipe, ignored: true) } catch {
        throw error.explained("unable to ignore SIGPIPE")
    }
    for directory in call.arguments.dropFirst(options.operands) {
        send(commands, to: directory, call.messages)
        do throws(SystemError) { try changeDirectory(to: start) } catch {
            throw error.explained("unable to set directory")
        }
    }
    return .exit(0)
}

private func send(_ commands: [UInt8], to directory: ByteString, _ messages: Messages) {
    do throws(SystemError) { try changeDirectory(directory) } catch {
        messages.warning("unable to chdir to \(directory)", error.errno)
        return
    }
    let control: Descriptor
    do throws(SystemError) { control = try openFile("supervise/control", .write) } catch {
        if error.errno == .noReader {
            messages.warning("unable to control \(directory): supervise not running")
        } else {
            messages.warning("unable to control \(directory)", error.errno)
        }
        return
    }
    do throws(SystemError) {
        try setNonBlocking(control.number, false)
        try writeAll(control.number, commands)
    } catch {
        messages.warning("error writing commands to \(directory)", error.errno)
    }
}

/// The line of the original, which therefore does not name the letters it did not have.
private func usage() throws(Failure) -> Outcome {
    var line: ByteString = "svc options:"
    for command in Command.allCases where command.isTraditional {
        line.append(" \(ByteString([command.rawValue])) \(command.word)," as ByteString)
    }
    let text = line.bytes.dropLast() + "\n".utf8
    do throws(SystemError) { try writeAll(Standard.error, Array(text)) } catch {
        throw error.explained("unable to write")
    }
    return .exit(100)
}
