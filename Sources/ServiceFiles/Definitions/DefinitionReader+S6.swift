import Bytes
import Commands
import Linux
import Services

// s6's files: a value each, on the first line.
extension DefinitionReader {
    /// Reads what s6-supervise reads.
    func readS6() {
        definition.dialect = .s6
        definition.finishLimit = DefinitionReader.finishLimitOfS6
        if let limit = milliseconds(in: .timeoutFinish) { definition.finishLimit = limit.value }
        if let limit = milliseconds(in: .timeoutKill) { definition.stopLimit = limit.value }
        definition.killsGroup = contains(.flagTimeoutKillpg)
        if let signal = signal(in: .downSignal) { definition.stopSignal = signal }
        if let signal = signal(in: .reloadSignal) { definition.reloadSignal = signal }
        if let number = number(in: .notificationFd, 1...65_535) {
            definition.readiness = .descriptor(Int32(number))
        }
        // What a service of s6 may rely on, and would miss.
        if contains(.lockFd) { complain(.lockFd, 0, "no effect: no lock is held for the service") }
        if contains(.flagNewpidns) {
            complain(.flagNewpidns, 0, "no effect: the service gets no PID namespace of its own")
        }
    }

    /// The first line of a file without blanks around it; nil where there is no such file.
    func firstLine(of file: DefinitionFile) -> ByteString? {
        guard contains(file), let content = content(of: file) else { return nil }
        return ByteString(trimmed(content.prefix { $0 != UInt8(ascii: "\n") }))
    }

    /// The limit in a file with milliseconds, of which 0 means for ever; nil where there is no such file, or none that
    /// can be understood.
    func milliseconds(in file: DefinitionFile) -> TimeLimit? {
        guard let number = number(in: file, 0...Int(UInt32.max)) else { return nil }
        return TimeLimit(value: number == 0 ? nil : UInt64(number) * 1_000_000)
    }

    private func number(in file: DefinitionFile, _ range: ClosedRange<Int>) -> Int? {
        guard let line = firstLine(of: file) else { return nil }
        guard let number = parseDecimal(line, within: range) else {
            let expected: ByteString = "no number from \(range.lowerBound) to \(range.upperBound)"
            complain(file, 1, "\"\(line.visible)\" is \(expected)")
            return nil
        }
        return number
    }

    private func signal(in file: DefinitionFile) -> Int32? {
        guard let line = firstLine(of: file) else { return nil }
        guard let signal = SignalNames.number(of: line) else {
            complain(file, 1, "\"\(line.visible)\" is no signal")
            return nil
        }
        return signal
    }
}

/// A limit that a file sets.
struct TimeLimit {
    /// Nanoseconds; nil for ever.
    let value: UInt64?
}

/// Without the blanks at either end.
public func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let blanks: [UInt8] = [UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r")]
    var line = line.drop { blanks.contains($0) }
    while let last = line.last, blanks.contains(last) { line.removeLast() }
    return line
}
