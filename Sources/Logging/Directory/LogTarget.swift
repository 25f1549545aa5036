import Bytes
import Commands
import Linux

/// Where a script writes lines to: a log directory, or standard output, which has no end.
struct LogTarget: LogPlace, ~Copyable {
    let initialBytes: Int
    private var directory: LogDirectory?
    private let retry: Retry
    private var lostOfOutput: Int?

    /// Opens the directory, if it is one.
    init(_ settings: LogDirectorySettings, _ processor: Processor, _ retry: Retry) throws(Failure) {
        self.retry = retry
        if settings.isOutput {
            initialBytes = 0
            directory = nil
        } else {
            let opened = try LogDirectory(settings, processor, retry)
            initialBytes = opened.initialBytes
            directory = consume opened
        }
    }

    var lostBytes: Int? {
        switch directory {
        case .some(let directory): directory.lostBytes
        case .none: lostOfOutput
        }
    }

    mutating func write(_ bytes: UnsafeRawBufferPointer) {
        if directory?.write(bytes) == nil { writeToOutput(bytes) }
    }

    mutating func rotate() { directory?.rotate() }

    mutating func end() { directory?.end() }

    private mutating func writeToOutput(_ bytes: UnsafeRawBufferPointer) {
        if bytes.isEmpty { return }
        if let lost = lostOfOutput { return lostOfOutput = lost + bytes.count }
        var rest = bytes
        do throws(Retry.GivenUp) {
            while !rest.isEmpty {
                let count = try retry.untilDone("unable to write to standard output") {
                    () throws(SystemError) in try writeWaiting(Standard.output, rest)
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        } catch { lostOfOutput = rest.count }
    }
}

/// Writes some of `bytes` and returns how many, also where somebody else has made that wait no more.
private func writeWaiting(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer)
    throws(SystemError) -> Int
{
    while true {
        do throws(SystemError) { return try write(descriptor, bytes) } catch {
            if error.errno != .again { throw error }
        }
        var awaited = [Awaited(descriptor, .write)]
        try poll(&awaited)
    }
}
