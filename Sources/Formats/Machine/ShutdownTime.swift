import Bytes

/// When shutdown(8) is to act: `now`, `+m` or `m` minutes from now, or `hh:mm`.
public enum ShutdownTime: Equatable, Sendable {
    /// So many minutes from now.
    case minutes(Int)
    /// When it is this time of day next.
    case clock(hour: Int, minute: Int)

    /// Reads the word; nil if it is none of these.
    public init?(_ text: ByteString) {
        if text == "now" {
            self = .minutes(0)
        } else if let (hour, minute) = text.cut(at: UInt8(ascii: ":")) {
            guard minute.count == 2, (1...2).contains(hour.count),
                let hour = parseDecimal(hour, within: 0...23),
                let minute = parseDecimal(minute, within: 0...59)
            else { return nil }
            self = .clock(hour: hour, minute: minute)
        } else {
            let digits =
                text.bytes.first == UInt8(ascii: "+") ? ByteString(text.bytes.dropFirst()) : text
            guard digits.bytes.first != UInt8(ascii: "-"),
                let minutes = parseDecimal(digits, within: 0...1_000_000)
            else { return nil }
            self = .minutes(minutes)
        }
    }

    /// How many seconds that is from now, a time of day where the user is.
    public func seconds(fromHour hour: Int, minute: Int, second: Int) -> Int {
        switch self {
        case .minutes(let minutes): return minutes * 60
        case .clock(let thenHour, let thenMinute):
            let now = (hour * 60 + minute) * 60 + second
            let then = (thenHour * 60 + thenMinute) * 60
            return then >= now ? then - now : then + 86400 - now
        }
    }

    /// How many seconds before the end people are told, the earliest first, of an end so many seconds away: each
    /// quarter of an hour at most in the last hour, and more and more often in the last minutes.
    public static func warnings(before seconds: Int) -> [Int] {
        let times = [3600, 2700, 1800, 900, 600, 300, 240, 180, 120, 60]
        return [seconds] + times.filter { $0 < seconds }
    }
}
