import Bytes
import Commands
import Linux

/// The signals of a server that starts children: SIGCHLD wakes it up, SIGPIPE is ignored, SIGTERM ends
/// it with 0 wherever it is.
struct ServerSignals: ~Copyable {
    private let descriptor: SignalDescriptor
    /// SIGTERM has come and was not the end: the server drains.
    private(set) var isStopping = false
    /// How a child gets back what the server was started with.
    let childSetup: ChildSetup

    /// Before anything is opened: no file of ours may be taken for a standard descriptor.
    static func prepare() throws(Failure) {
        do {
            for descriptor in [Standard.input, Standard.output, Standard.error] {
                try ensureOpen(descriptor)
            }
            try exitCleanly(on: .terminate)
        } catch { throw error.explained("unable to set up signals") }
    }

    /// Takes the signals over; with `drains`, SIGTERM is only noted.
    static func take(drains: Bool) throws(Failure) -> ServerSignals {
        do throws(SystemError) {
            let child = SignalSet(.child)
            let noted = drains ? SignalSet(.child, .terminate) : child
            let inherited = try child.block()
            try inherited.union(noted).block()
            // Ignored, it would keep the children's exit statuses from us.
            try setDisposition(.child, ignored: false)
            try setDisposition(.pipe, ignored: true)
            var setup = ChildSetup()
            setup.defaultSignals = SignalSet(.pipe, .terminate)
            setup.blockedSignals = inherited.subtracting(child)
            return ServerSignals(descriptor: try SignalDescriptor(noted), childSetup: setup)
        } catch {
            throw error.explained("unable to set up signals")
        }
    }

    /// Waits until a child has ended, or `deadline`.
    mutating func wait(until deadline: Instant?) {
        do throws(SystemError) {
            if try Linux.wait(for: descriptor.descriptor.number, until: deadline) {
                try note()
            }
        } catch { rest() }
    }

    /// Waits until a child has ended or `other` can be read, or `deadline`.
    mutating func wait(orFor other: Int32, until deadline: Instant?) {
        do throws(SystemError) {
            let signal = descriptor.descriptor.number
            if try Linux.wait(forEither: signal, or: other, until: deadline).first {
                try note()
            }
        } catch { rest() }
    }

    /// Waits until a child has ended, one of `others` is ready, or `deadline`; none is ready if the
    /// kernel cannot say.
    mutating func wait(for others: inout [Awaited], until deadline: Instant?) {
        others.append(Awaited(descriptor.descriptor.number))
        do throws(SystemError) {
            try poll(&others, milliseconds: deadline?.millisecondsLeft)
            if others[others.count - 1].isReady { try note() }
        } catch { rest() }
        others.removeLast()
    }

    /// Notes SIGTERM if it has come: a busy server does not wait.
    mutating func look() { do { try note() } catch {} }

    /// SIGCHLD needs no note: children are reaped in every turn.
    private mutating func note() throws(SystemError) {
        while let signal = try descriptor.next() {
            if signal == .terminate { isStopping = true }
        }
    }

    /// Where the kernel has no memory to wait with, or allows no descriptors any more, the server goes
    /// on by looking ten times a second.
    private func rest() { pause(until: Instant.now.advanced(milliseconds: 100)) }
}
