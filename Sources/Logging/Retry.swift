import Bytes
import Commands
import Linux

/// How multilog meets trouble while it runs: it says what it is unable to do, pauses, and tries
/// again, for ever. No line is dropped; input is simply not read meanwhile.
public struct Retry {
    /// Where it speaks.
    public let messages: Messages
    private let sleep: () -> Void

    /// Speaks through `messages` and pauses with `sleep`, five seconds unless a test has less time.
    public init(messages: Messages, sleep: @escaping () -> Void = { Linux.pause(seconds: 5) }) {
        self.messages = messages
        self.sleep = sleep
    }

    /// Does `body` until it succeeds; `trouble` is what it is unable to do, in the words of the
    /// message.
    func untilDone<Value: ~Copyable>(
        _ trouble: @autoclosure () -> ByteString, _ body: () throws(SystemError) -> Value
    ) -> Value {
        while true {
            do throws(SystemError) { return try body() } catch { pause(trouble(), error.errno) }
        }
    }

    /// Says that something did not work and pauses.
    func pause(_ trouble: ByteString, _ errno: Errno? = nil) {
        messages.warning("\(trouble), pausing", errno)
        sleep()
    }
}
