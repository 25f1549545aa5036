import Bytes
import Commands
import Linux

/// How multilog meets trouble while it runs: it says what it is unable to do, pauses, and tries again.
/// No line is dropped; the input is simply not read meanwhile. Once multilog has been told to end it
/// tries for some seconds more, and then gives up.
public final class Retry {
    /// Thrown when multilog gives up something because it was told to end. It has been said by then.
    struct GivenUp: Error {}

    /// In whose words it says what it is unable to do.
    enum Dialect {
        /// `warning: TROUBLE, pausing: CAUSE`, for five seconds.
        case multilog
        /// `pausing: TROUBLE: CAUSE`, for three seconds.
        case svlogd

        /// How long a pause is, in milliseconds.
        var pause: Int32 {
            switch self {
            case .multilog: 5000
            case .svlogd: 3000
            }
        }
    }

    /// How long a pause is, in milliseconds, once multilog has been told to end.
    private static let lastPause: UInt64 = 200
    /// For how many milliseconds it goes on trying when it has been told to end.
    private static let patience: UInt64 = 5000

    /// Where it speaks.
    let messages: Messages
    private let dialect: Dialect
    private let wait: (_ descriptor: Int32, _ milliseconds: Int32?) -> Bool
    /// When it gives up; nil as long as it has not been told to end.
    private var deadline: Instant?

    /// Speaks through `messages`. `wait` waits for so many milliseconds, or until `descriptor` can be
    /// read if it is one, or until the process is told to end, and returns whether it is.
    init(
        messages: Messages, _ dialect: Dialect = .multilog,
        wait: @escaping (_ descriptor: Int32, _ milliseconds: Int32?) -> Bool
    ) {
        self.messages = messages
        self.dialect = dialect
        self.wait = wait
    }

    /// Takes note that the process has been told to end.
    func endSoon() {
        if deadline == nil { deadline = Instant.now.advanced(milliseconds: Retry.patience) }
    }

    /// Does `body` until it succeeds; `trouble` is what it is unable to do, in the words of the message.
    func untilDone<Value: ~Copyable>(
        _ trouble: @autoclosure () -> ByteString, _ body: () throws(SystemError) -> Value
    ) throws(GivenUp) -> Value {
        while true {
            do throws(SystemError) { return try body() } catch {
                try pause(trouble(), error.errno)
            }
        }
    }

    /// Says that something did not work and pauses.
    func pause(_ trouble: ByteString, _ errno: Errno? = nil) throws(GivenUp) {
        if let deadline {
            if deadline <= .now {
                messages.warning("\(trouble), giving up", errno)
                throw GivenUp()
            }
            return Linux.pause(until: .now.advanced(milliseconds: Retry.lastPause))
        }
        switch (dialect, errno) {
        case (.multilog, _): messages.warning("\(trouble), pausing", errno)
        case (.svlogd, let errno?): messages.line("pausing: \(trouble): \(errno.text)")
        case (.svlogd, nil): messages.line("pausing: \(trouble)")
        }
        if wait(-1, dialect.pause) { endSoon() }
    }

    /// Waits until `descriptor` can be read, however long that takes, but only for so many milliseconds
    /// more once the process has been told to end. Returns whether it can be read.
    func wait(for descriptor: borrowing Descriptor, butAtLast milliseconds: Int32) -> Bool {
        if deadline == nil {
            if !wait(descriptor.number, nil) { return true }
            endSoon()
        }
        var awaited = [Awaited(descriptor.number)]
        do throws(SystemError) { try poll(&awaited, milliseconds: milliseconds) } catch {}
        return awaited[0].isReady
    }
}
