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
        for index in 44..<332 { record[index] = 0 }
        write(Kind.dead.rawValue, seconds, microseconds, into: &record)
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

    private static func write(
        _ kind: Int16, _ seconds: Int64, _ microseconds: Int32, into record: inout [UInt8]
    ) {
        func put(_ value: UInt32, at offset: Int, count: Int) {
            for index in 0..<count {
                record[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(index * 8))
            }
        }
        put(UInt32(kind), at: 0, count: 2)
        put(UInt32(truncatingIfNeeded: seconds), at: 340, count: 4)
        put(UInt32(bitPattern: microseconds), at: 344, count: 4)
    }
}
