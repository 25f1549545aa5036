import Bytes
import Commands
import Formats
import Linux

/// utmpset(8): notes that the user of a terminal has left, for finish files of gettys.
func utmpset(_ call: Call) throws(Failure) -> Outcome {
    let usage = Failure(usageOfRunit: "[-w] line", exitCode: 1)
    var tellsHistory = false
    var reader = OptionReader(call.arguments, [OptionName("w", true)], call.messages)
    while let result = reader.next() {
        guard case .option = result else { throw usage }
        tellsHistory = true
    }
    guard let line = call.arguments[reader.operands...].first else { throw usage }
    let (seconds, nanoseconds) = wallClock()
    let time = (seconds, Int32(nanoseconds / 1000))
    do throws(SystemError) {
        guard try logOut(line, time) else {
            call.messages.warning(
                "unable to logout line \(line.visible) in utmp: no such entry")
            return .exit(111)
        }
    } catch { throw error.explained("unable to open \(usersPath)") }
    if tellsHistory {
        do throws(SystemError) { try remember(line, time) } catch {
            throw error.explained("unable to write \(historyPath)")
        }
    }
    return .exit(0)
}

private let usersPath: ByteString = "/run/utmp"
private let historyPath: ByteString = "/var/log/wtmp"
/// More than any machine has terminals.
private let mostBytes = 1 << 22

/// Whether there was somebody.
private func logOut(_ line: ByteString, _ time: (Int64, Int32)) throws(SystemError) -> Bool {
    let file = try openFile(usersPath, .readWrite)
    try lock(file, wait: true)
    let records = try contents(of: file.number, limit: mostBytes)
    guard let position = LoginRecord.position(of: line, in: records) else { return false }
    try seek(file, to: position)
    try writeAll(file.number, LoginRecord.loggedOut(records, at: position, time.0, time.1))
    return true
}

private func remember(_ line: ByteString, _ time: (Int64, Int32)) throws(SystemError) {
    let file = try openHistory()
    try lock(file, wait: true)
    try writeAll(file.number, LoginRecord.logOut(of: line, at: time.0, time.1).bytes)
}

private func openHistory() throws(SystemError) -> Descriptor {
    do throws(SystemError) { return try openFile(historyPath, .appendExisting) } catch {
        guard error.errno == .noEntry else { throw error }
        return try openFile(historyPath, .createAppending)
    }
}
