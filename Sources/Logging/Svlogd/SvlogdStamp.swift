import Bytes
import Formats

/// What svlogd stamps lines with. All stamps have 25 bytes, and a space follows.
public enum SvlogdStamp: Int, CaseIterable, Sendable {
    /// `-t`: a TAI64N label.
    case label = 1
    /// `-tt`: `YYYY-MM-DD_HH:MM:SS.xxxxx`, UTC.
    case date = 2
    /// `-ttt`: `YYYY-MM-DDTHH:MM:SS.xxxxx`, UTC.
    case isoDate = 3

    /// The stamp for `time`, and the space.
    public func text(_ time: TAI64N) -> [UInt8] {
        switch self {
        case .label: time.text + [UInt8(ascii: " ")]
        case .date: SvlogdStamp.date(time, UInt8(ascii: "_"))
        case .isoDate: SvlogdStamp.date(time, UInt8(ascii: "T"))
        }
    }

    private static func date(_ time: TAI64N, _ separator: UInt8) -> [UInt8] {
        let secondsOfDay = 86400
        let seconds = Int(time.unixSeconds)
        let day =
            seconds >= 0 ? seconds / secondsOfDay : (seconds - secondsOfDay + 1) / secondsOfDay
        let clock = seconds - day * secondsOfDay
        let (year, month, monthDay) = calendar(day)
        var text: [UInt8] = []
        func add(_ value: Int, width: Int, after before: UInt8? = nil) {
            if let before { text.append(before) }
            var digits: [UInt8] = []
            appendDecimal(value, to: &digits)
            text += [UInt8](repeating: UInt8(ascii: "0"), count: max(width - digits.count, 0))
            text += digits
        }
        let (dash, colon) = (UInt8(ascii: "-"), UInt8(ascii: ":"))
        add(year, width: 4)
        add(month, width: 2, after: dash)
        add(monthDay, width: 2, after: dash)
        add(clock / 3600, width: 2, after: separator)
        add(clock / 60 % 60, width: 2, after: colon)
        add(clock % 60, width: 2, after: colon)
        add(Int(time.nanoseconds) / 10000, width: 5, after: UInt8(ascii: "."))
        return text + [UInt8(ascii: " ")]
    }

    /// The date of a day counted from 1 January 1970, by the Gregorian calendar. Years are taken to begin in March,
    /// so that the day that some of them have more is their last.
    private static func calendar(_ day: Int) -> (year: Int, month: Int, day: Int) {
        let daysOf400Years = 146_097
        // From 1 March of the year 0.
        let days = day + 719_468
        let era = (days >= 0 ? days : days - daysOf400Years + 1) / daysOf400Years
        let dayOfEra = days - era * daysOf400Years
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        // Five months have 153 days, wherever they begin.
        let month = (5 * dayOfYear + 2) / 153
        let year = yearOfEra + era * 400 + (month >= 10 ? 1 : 0)
        return (year, month < 10 ? month + 3 : month - 9, dayOfYear - (153 * month + 2) / 5 + 1)
    }
}
