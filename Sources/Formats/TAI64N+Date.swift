import Bytes

extension TAI64N {
    /// The time of the label in UTC, as RFC 3339 has it: `2026-11-26T22:45:00.123456789Z`; nil before the year 1 and
    /// after the year 9999.
    public var utc: ByteString? {
        let (days, second) = (unixSeconds / 86400, unixSeconds % 86400)
        guard (-719_162...2_932_896).contains(days), second >= 0, nanoseconds < 1_000_000_000 else {
            return nil
        }
        let date = TAI64N.date(ofDay: Int(days))
        var text: [UInt8] = []
        func add(_ number: Int, _ width: Int, _ separator: StaticString) {
            var digits: [UInt8] = []
            appendDecimal(number, to: &digits)
            text += [UInt8](repeating: UInt8(ascii: "0"), count: max(width - digits.count, 0))
            text += digits
            text.append(separator)
        }
        add(date.year, 4, "-")
        add(date.month, 2, "-")
        add(date.day, 2, "T")
        add(Int(second) / 3600, 2, ":")
        add(Int(second) / 60 % 60, 2, ":")
        add(Int(second) % 60, 2, ".")
        add(Int(nanoseconds), 9, "Z")
        return ByteString(text)
    }

    /// The date of a day after 1970-01-01 in the Gregorian calendar, counted in years that begin with March, so that a
    /// leap day is the last of its year.
    private static func date(ofDay day: Int) -> (year: Int, month: Int, day: Int) {
        // Days from 1 March of the year 0.
        let days = day + 719_468
        let (era, dayOfEra) = (days / 146_097, days % 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let isNextYear = month >= 10
        return (
            era * 400 + yearOfEra + (isNextYear ? 1 : 0), isNextYear ? month - 9 : month + 3,
            dayOfYear - (153 * month + 2) / 5 + 1
        )
    }
}
