import Bytes
import Commands
import Linux
import ServiceFiles
import Services
import Supervision

/// svc(8): sends commands to supervised services.
func svc(_ call: Call) throws(Failure) -> Outcome {
    let names = Command.allCases.map { OptionName(Unicode.Scalar($0.rawValue), $0) }
    var options = OptionReader(call.arguments, names, call.messages)
    var commands: [UInt8] = []
    while let result = options.next() {
        guard case .option(let command, _) = result else { return try usage() }
        if !commands.contains(command.rawValue) { commands.append(command.rawValue) }
    }
    let start: Descriptor
    do throws(SystemError) { start = try openFile(".", .read) } catch {
        throw error.explained("unable to open current directory")
    }
    for directory in call.arguments.dropFirst(options.operands) {
        send(commands, to: directory, call.messages)
        do throws(SystemError) { try changeDirectory(to: start) } catch {
            throw error.explained("unable to set directory")
        }
    }
    return .exit(0)
}

/// How long a supervisor may leave its FIFO full, in milliseconds. One that works needs none of it.
private let patience: UInt64 = 5000

private func send(_ commands: [UInt8], to directory: ByteString, _ messages: Messages) {
    do throws(SystemError) { try changeDirectory(directory) } catch {
        messages.warning("unable to chdir to \(directory)", error.errno)
        return
    }
    let control: Descriptor
    do throws(SystemError) {
        control = try SuperviseDirectory(of: .current).openCommands()
    } catch {
        if error.errno == .noReader {
            messages.warning("unable to control \(directory): supervise not running")
        } else {
            messages.warning("unable to control \(directory)", error.errno)
        }
        return
    }
    do throws(SystemError) {
        // The service may stop being supervised while it is written to. What this process becomes, or
        // starts, is to have the signal as it was.
        let wasIgnored = try setDisposition(.pipe, ignored: true)
        let deadline = Instant.now.advanced(milliseconds: patience)
        do throws(SystemError) {
            try ServiceFiles.send(commands, to: control, until: deadline)
        } catch {
            messages.warning("error writing commands to \(directory)", error.errno)
        }
        try setDisposition(.pipe, ignored: wasIgnored)
    } catch {
        messages.warning("unable to set the disposition of SIGPIPE", error.errno)
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
