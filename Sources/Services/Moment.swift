import Formats

/// When something happened, by both clocks. Waiting and comparing go by the one that never goes back; people are
/// told the other.
public struct Moment: Equatable, Sendable {
    /// Nanoseconds of a clock that never goes back, since an arbitrary start.
    public var nanoseconds: UInt64
    /// The time of day, which may be set back and forth.
    public var timeOfDay: TAI64N

    /// A moment by both clocks.
    public init(nanoseconds: UInt64, timeOfDay: TAI64N) {
        self.nanoseconds = nanoseconds
        self.timeOfDay = timeOfDay
    }
}

extension UInt64 {
    /// A time in nanoseconds.
    static func milliseconds(_ count: UInt64) -> UInt64 { count * 1_000_000 }

    /// A time in nanoseconds.
    static func seconds(_ count: UInt64) -> UInt64 { count * 1_000_000_000 }
}
