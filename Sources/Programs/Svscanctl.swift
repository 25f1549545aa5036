import Bytes
import Commands
import Linux
import ServiceFiles
import Services

/// svscanctl(8): sends commands to whoever supervises a scan directory.
func svscanctl(_ call: Call) throws(Failure) -> Outcome {
    let usage = Failure(usage: "svscanctl [ -htu ] [ directory ]")
    let names = ScanCommand.allCases.map { OptionName(Unicode.Scalar($0.rawValue), $0) }
    var options = OptionReader(call.arguments, names, call.messages)
    var commands: [UInt8] = []
    while let result = options.next() {
        guard case .option(let command, _) = result else { throw usage }
        if !commands.contains(command.rawValue) { commands.append(command.rawValue) }
    }
    if call.arguments.count > options.operands + 1 { throw usage }
    let directory = call.operand(
        options.operands, else: ServiceNames(call.environment).scanDirectory)
    let control: Descriptor
    do throws(SystemError) {
        let place = try openFile(directory, .place)
        control = try ScanControl.openCommands(
            of: Directory(place), or: StatePlaces(ofClientWith: call.environment))
    } catch {
        if error.errno == .noReader {
            throw Failure("unable to control \(directory): svscan not running")
        }
        throw error.explained("unable to control \(directory)")
    }
    do throws(SystemError) {
        try setDisposition(.pipe, ignored: true)
        // A supervisor that works needs none of the time.
        try send(commands, to: control, until: Instant.now.advanced(milliseconds: 5000))
    } catch { throw error.explained("error writing commands to \(directory)") }
    return .exit(0)
}
