import Bytes
import Commands
import Linux
import ServiceFiles
import Services

/// svscanctl(8): sends commands to whoever supervises a scan directory.
func svscanctl(_ call: Call) throws(Failure) -> Outcome {
    let usage = Failure(usage: "svscanctl [ -ht ] [ -u [ binary ] ] [ directory ]")
    let names = ScanCommand.allCases.filter { $0 != .upgradeToNamed }.map {
        OptionName(Unicode.Scalar($0.rawValue), $0)
    }
    var options = OptionReader(call.arguments, names, call.messages)
    var commands: [ScanCommand] = []
    while let result = options.next() {
        guard case .option(let command, _) = result else { throw usage }
        if !commands.contains(command) { commands.append(command) }
    }
    var operands = Array(call.arguments.dropFirst(options.operands))
    var binary: ByteString?
    if let place = commands.firstIndex(of: .upgrade), let first = operands.first,
        operands.count == 2 || isFile(first)
    {
        binary = try absolute(first)
        operands.removeFirst()
        commands[place] = .upgradeToNamed
    }
    if operands.count > 1 { throw usage }
    let directory = operands.first ?? ServiceNames(call.environment).scanDirectory
    let client: ScanClient
    do throws(SystemError) {
        let place = try openFile(directory, .place)
        client = try ScanClient(
            of: Directory(place), or: StatePlaces(ofClientWith: call.environment))
    } catch {
        if error.errno == .noReader {
            throw Failure("unable to control \(directory): svscan not running")
        }
        throw error.explained("unable to control \(directory)")
    }
    if let binary {
        // The supervisor may be another user's.
        CurrentProcess.setUmask(0o022)
        do throws(SystemError) { try client.name(binary: binary) } catch {
            throw error.explained("unable to write to \(directory)/\(ScanControl.name)")
        }
    }
    do throws(SystemError) {
        try setDisposition(.pipe, ignored: true)
        // A supervisor that works needs none of the time.
        let letters = commands.map { $0.rawValue }
        try send(letters, to: client.control, until: Instant.now.advanced(milliseconds: 5000))
    } catch { throw error.explained("error writing commands to \(directory)") }
    return .exit(0)
}

/// Whether an operand can be no scan directory.
private func isFile(_ path: ByteString) -> Bool {
    do throws(SystemError) { return try status(of: path).isRegular } catch { return false }
}

/// The path of a binary from the root, after a look whether there is one.
private func absolute(_ path: ByteString) throws(Failure) -> ByteString {
    do throws(SystemError) {
        if try !status(of: path).isRegular { throw SystemError("stat", .notRegular) }
    } catch { throw error.explained("unable to find \(path)") }
    if path.hasPrefix("/") { return path }
    do throws(SystemError) { return "\(try CurrentProcess.directory())/\(path)" } catch {
        throw error.explained("unable to find the current directory")
    }
}
