import Bytes

/// A record of /run/utmp and /var/log/wtmp, utmp(5), as glibc lays it out on 64-bit machines: 384 bytes, least
/// significant byte first. Here are those that process 1 writes, and what is read to reach people at their terminals.
public struct LoginRecord: Equatable, Sendable {
    /// How long a record is.
    public static let size = 384

    /// What it tells, by the numbers of utmp(5).
    public enum Kind: Int16, Sendable {
        /// The runlevel has changed, RUN_LVL.
        case runlevel = 1
        /// The machine has come up, BOOT_TIME.
        case boot = 2
        /// Somebody is logged in, USER_PROCESS.
        case user = 7
        /// Somebody has left, DEAD_PROCESS.
        case dead = 8
    }

    /// What it tells.
    public var kind: Kind
    /// The process; of a change of runlevel, the new one and, times 256, the old one, as characters.
    public var process: Int32
    /// The terminal, below /dev; `~` for the machine itself.
    public var line: ByteString
    /// The user, or what has happened.
    public var user: ByteString
    /// Where from; the kernel's release for the machine itself.
    public var host: ByteString
    /// Seconds since 1970.
    public var seconds: Int64
    /// And microseconds.
    public var microseconds: Int32

    /// That the machine has come up, with this kernel.
    public static func boot(release: ByteString, at seconds: Int64, _ microseconds: Int32)
        -> LoginRecord
    {
        LoginRecord(
            kind: .boot, process: 0, line: "~", user: "reboot", host: release, seconds: seconds,
            microseconds: microseconds)
    }

    /// That the runlevel is now `level`.
    public static func runlevel(
        _ level: UInt8, from previous: UInt8, release: ByteString, at seconds: Int64,
        _ microseconds: Int32
    ) -> LoginRecord {
        LoginRecord(
            kind: .runlevel, process: Int32(level) | Int32(previous) << 8, line: "~",
            user: "runlevel",
            host: release, seconds: seconds, microseconds: microseconds)
    }

    /// That the machine goes down: last(1) ends what was up then.
    public static func shutdown(release: ByteString, at seconds: Int64, _ microseconds: Int32)
        -> LoginRecord
    {
        var record = LoginRecord.runlevel(
            UInt8(ascii: "0"), from: 0, release: release, at: seconds, microseconds)
        record.process = 0
        record.user = "shutdown"
        return record
    }

    /// A record of these parts.
    public init(
        kind: Kind, process: Int32, line: ByteString, user: ByteString, host: ByteString,
        seconds: Int64,
        microseconds: Int32
    ) {
        self.kind = kind
        self.process = process
        self.line = line
        self.user = user
        self.host = host
        self.seconds = seconds
        self.microseconds = microseconds
    }

    /// Reads a record; nil when it is of another kind.
    public init?(_ bytes: ArraySlice<UInt8>) {
        guard bytes.count == LoginRecord.size else { return nil }
        func number(_ offset: Int) -> UInt32 {
            (0..<4).reduce(0) {
                $0 | UInt32(bytes[bytes.startIndex + offset + $1]) << UInt32($1 * 8)
            }
        }
        func text(_ offset: Int, _ length: Int) -> ByteString {
            let start = bytes.startIndex + offset
            return ByteString(bytes[start..<(start + length)])
        }
        guard let kind = Kind(rawValue: Int16(truncatingIfNeeded: number(0))) else { return nil }
        self.init(
            kind: kind, process: Int32(bitPattern: number(4)), line: text(8, 32),
            user: text(44, 32),
            host: text(76, 256), seconds: Int64(number(340)),
            microseconds: Int32(bitPattern: number(344)))
    }

    /// As it stands in the file.
    public var bytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: LoginRecord.size)
        func put(_ value: UInt32, at offset: Int) {
            for index in 0..<4 {
                bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(index * 8))
            }
        }
        func put(_ text: ByteString, at offset: Int, room: Int) {
            for (index, byte) in text.bytes.prefix(room).enumerated() {
                bytes[offset + index] = byte
            }
        }
        put(UInt32(kind.rawValue), at: 0)
        put(UInt32(bitPattern: process), at: 4)
        put(line, at: 8, room: 32)
        // ut_id: what who(1) and last(1) take the machine's own records for.
        if line == "~" { put("~~", at: 40, room: 4) }
        put(user, at: 44, room: 32)
        put(host, at: 76, room: 256)
        put(UInt32(truncatingIfNeeded: seconds), at: 340)
        put(UInt32(bitPattern: microseconds), at: 344)
        return bytes
    }
}
