import Bytes

extension LoginRecord {
    /// Where in the records of a file, one after the other, somebody is on the terminal `line`, or a login waits; nil
    /// when nobody does.
    public static func position(of line: ByteString, in records: [UInt8]) -> Int? {
        stride(from: 0, through: records.count - size, by: size).first { start in
            let name = records[(start + 8)..<(start + 40)]
            return records[start + 44] != 0 && ByteString(name) == line
        }
    }

    /// The record at `position` of `records` as it is once its user has left, at a time since 1970: a DEAD_PROCESS
    /// without a user and a host, and the rest kept.
    public static func loggedOut(
        _ records: [UInt8], at position: Int, _ seconds: Int64, _ microseconds: Int32
    ) -> [UInt8] {
        var record = Array(records[position..<(position + size)])
        let blank = logOut(of: "", at: seconds, microseconds).bytes
        // Its kind, the user and the host, and the time.
        for range in [0..<2, 44..<332, 340..<348] {
            record.replaceSubrange(range, with: blank[range])
        }
        return record
    }

    /// What the history has of somebody who leaves the terminal `line`.
    public static func logOut(of line: ByteString, at seconds: Int64, _ microseconds: Int32)
        -> LoginRecord
    {
        LoginRecord(
            kind: .dead, process: 0, line: line, user: "", host: "", seconds: seconds,
            microseconds: microseconds)
    }
}
