import Bytes
import CLinux

/// A point in time that only deadlines are made of: nanoseconds of CLOCK_MONOTONIC.
public struct Instant: Comparable, Sendable {
    /// Nanoseconds since an arbitrary start.
    public let nanoseconds: UInt64

    /// A point in time, for simulations.
    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// Now. clock_gettime(2).
    public static var now: Instant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(
            nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    /// A point on the clock of the processor time that this thread has used, which compares to none of another clock.
    public static var ofProcessor: Instant {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Instant(
            nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    /// A point on the clock that also counts while the machine sleeps, which compares to none of another clock.
    public static var sinceBoot: Instant {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Instant(
            nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    /// Earlier first.
    public static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// This point plus milliseconds.
    public func advanced(milliseconds: UInt64) -> Instant {
        Instant(nanoseconds: nanoseconds + milliseconds * 1_000_000)
    }

    /// How long it is until then, for the calls that wait: 0 when it has passed, and rounded up, so that
    /// it has passed when the wait ends.
    public var millisecondsLeft: Int32 {
        let now = Instant.now
        if self <= now { return 0 }
        return Int32(clamping: (nanoseconds - now.nanoseconds + 999_999) / 1_000_000)
    }
}

/// The time of day: seconds and nanoseconds of CLOCK_REALTIME since 1970. clock_gettime(2).
public func wallClock() -> (seconds: Int64, nanoseconds: UInt32) {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return (Int64(time.tv_sec), UInt32(time.tv_nsec))
}
