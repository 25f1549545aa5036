import Bytes
import CLinux

/// A date and time of day where the user is.
public struct LocalTime: Equatable, Sendable {
    /// The year, 1970 for example; negative far enough back.
    public let year: Int
    /// The month, 1 to 12.
    public let month: Int
    /// The day of the month, 1 to 31.
    public let day: Int
    /// The hour, 0 to 23.
    public let hour: Int
    /// The minute, 0 to 59.
    public let minute: Int
    /// The second, 0 to 60.
    public let second: Int

    /// Makes the TZ of `environment` mean the same with both libcs. One that names a summer time but
    /// not when it is, `EST5EDT` say, is a zone file for glibc, or else has the dates of the United
    /// States; musl would have summer all year.
    public static func useZone(of environment: Environment) throws(SystemError) {
        guard let zone = environment["TZ"], isSummerTimeWithoutDates(zone) else { return }
        let isFile = try exists("/usr/share/zoneinfo/\(zone)")
        let explicit: ByteString = isFile ? ":\(zone)" : "\(zone),M3.2.0,M11.1.0"
        _ = try Kernel.call("setenv", explicit) { explicit.withCString { setenv("TZ", $0, 1) } }
    }

    private static func isSummerTimeWithoutDates(_ zone: ByteString) -> Bool {
        func isLetter(_ byte: UInt8) -> Bool {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
        }
        guard let first = zone.bytes.first, let last = zone.bytes.last else { return false }
        return isLetter(first) && isLetter(last)
            && zone.bytes.contains { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
    }

    /// The local time of a Unix time, by the environment's TZ or else /etc/localtime; nil when its
    /// year is beyond the calendar. localtime_r(3).
    public init?(unixSeconds: Int64) {
        var seconds = time_t(unixSeconds)
        var fields = tm()
        tzset()
        guard localtime_r(&seconds, &fields) != nil else { return nil }
        year = Int(fields.tm_year) + 1900
        month = Int(fields.tm_mon) + 1
        day = Int(fields.tm_mday)
        hour = Int(fields.tm_hour)
        minute = Int(fields.tm_min)
        second = Int(fields.tm_sec)
    }
}
