import Bytes

/// What a process tells its supervisor in one datagram of sd_notify(3): lines `KEY=VALUE`. Unknown keys say nothing,
/// and neither do values that make no sense; of several that do, the first counts.
///
/// Times are nanoseconds; one too long for that, systemd's `infinity` among them, is `UInt64.max`.
public struct NotifyMessage: Equatable, Sendable {
    /// What is said of the watchdog.
    public enum Watchdog: Equatable, Sendable {
        /// `WATCHDOG=1`: it is alive.
        case ping
        /// `WATCHDOG=trigger`: it is to be treated as if it had not pinged in time.
        case trigger
    }

    /// `READY=1`: it is ready, or has finished reloading.
    public var isReady = false
    /// `RELOADING=1`: it reloads its configuration, until the next `READY=1`.
    public var isReloading = false
    /// `STOPPING=1`: it is about to end.
    public var isStopping = false
    /// `RESTART_RESET=1`: its failures so far are to be forgotten.
    public var resetsRestarts = false
    /// `STATUS=`: a line for people, at most `longestText` bytes, as it was sent; empty to take back the last one.
    public var status: ByteString?
    /// `ERRNO=`: why it failed, 0 to 4095.
    public var errno: Int32?
    /// `EXIT_STATUS=`: the exit code of a container or machine.
    public var exitStatus: UInt8?
    /// `MAINPID=`: another process is the service's main one. Never 1, nor less.
    public var mainPID: Int32?

    /// `WATCHDOG=`.
    public var watchdog: Watchdog?
    /// `WATCHDOG_USEC=`: pings are to come at least so often from now on; 0 for no more.
    public var watchdogInterval: UInt64?
    /// `EXTEND_TIMEOUT_USEC=`: it needs at least so much longer from now on to start or stop.
    public var timeExtension: UInt64?
    /// `MONOTONIC_USEC=`: when it was sent, by CLOCK_MONOTONIC.
    public var monotonic: UInt64?

    /// `FDSTORE=1`: the descriptors that come with it are to be kept for the next start.
    public var storesDescriptors = false
    /// `FDSTOREREMOVE=1`: the kept descriptors of `descriptorName` are to be closed.
    public var removesDescriptors = false
    /// `FDNAME=`: the name of the descriptors, visible ASCII or blanks without a colon, 1 to 255 bytes.
    public var descriptorName: ByteString?
    /// Not `FDPOLL=0`: a kept descriptor is closed when its other end is.
    public var pollsDescriptors = true

    /// `BARRIER=1`: the one descriptor that comes with it is to be closed once all that came before has been dealt
    /// with. Nothing else in the message counts then.
    public var isBarrier = false

    /// The most bytes that a datagram may have.
    public static let longest = 4096
    /// The most bytes of `status` that are kept.
    public static let longestText = StatusDetails.longestText
    /// The most bytes of a descriptor's name.
    public static let longestName = 255

    /// One that says nothing.
    public init() {}

    /// Reads a datagram; nil when it is too long, or has a NUL before its end.
    public init?(_ datagram: some Collection<UInt8>) {
        var bytes = Array(datagram.prefix(NotifyMessage.longest + 1))
        guard bytes.count <= NotifyMessage.longest else { return nil }
        if bytes.last == 0 { bytes.removeLast() }
        guard !bytes.contains(0) else { return nil }
        // Carriage returns end lines too, as systemd has it.
        let lines = bytes.split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
        for line in lines { take(line) }
        if isBarrier {
            self = NotifyMessage()
            isBarrier = true
        }
    }

    private mutating func take(_ line: ArraySlice<UInt8>) {
        guard let equals = line.firstIndex(of: UInt8(ascii: "=")) else { return }
        let key = line[..<equals]
        let value = line[(equals + 1)...]
        let isOne = value.isSpelled("1")
        if key.isSpelled("READY") {
            isReady = isReady || isOne
        } else if key.isSpelled("RELOADING") {
            isReloading = isReloading || isOne
        } else if key.isSpelled("STOPPING") {
            isStopping = isStopping || isOne
        } else if key.isSpelled("RESTART_RESET") {
            resetsRestarts = resetsRestarts || isOne
        } else if key.isSpelled("FDSTORE") {
            storesDescriptors = storesDescriptors || isOne
        } else if key.isSpelled("FDSTOREREMOVE") {
            removesDescriptors = removesDescriptors || isOne
        } else if key.isSpelled("FDPOLL") {
            pollsDescriptors = pollsDescriptors && !value.isSpelled("0")
        } else if key.isSpelled("BARRIER") {
            isBarrier = isBarrier || isOne
        } else {
            takeValue(of: key, value)
        }
    }

    private mutating func takeValue(of key: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) {
        if key.isSpelled("STATUS") {
            status = status ?? NotifyMessage.text(value)
        } else if key.isSpelled("ERRNO") {
            errno = errno ?? number(value, 0...4095).map { Int32($0) }
        } else if key.isSpelled("EXIT_STATUS") {
            exitStatus = exitStatus ?? number(value, 0...255).map { UInt8($0) }
        } else if key.isSpelled("MAINPID") {
            mainPID = mainPID ?? number(value, 2...UInt64(Int32.max)).map { Int32($0) }
        } else if key.isSpelled("WATCHDOG") {
            watchdog = watchdog ?? NotifyMessage.watchdog(value)
        } else if key.isSpelled("WATCHDOG_USEC") {
            watchdogInterval = watchdogInterval ?? duration(value)
        } else if key.isSpelled("EXTEND_TIMEOUT_USEC") {
            timeExtension = timeExtension ?? duration(value)
        } else if key.isSpelled("MONOTONIC_USEC") {
            monotonic = monotonic ?? duration(value)
        } else if key.isSpelled("FDNAME") {
            descriptorName = descriptorName ?? NotifyMessage.name(value)
        }
    }

    private static func watchdog(_ value: ArraySlice<UInt8>) -> Watchdog? {
        if value.isSpelled("1") { return .ping }
        return value.isSpelled("trigger") ? .trigger : nil
    }

    private static func name(_ value: ArraySlice<UInt8>) -> ByteString? {
        let isName =
            (1...longestName).contains(value.count)
            && value.allSatisfy { (0x20...0x7e).contains($0) && $0 != UInt8(ascii: ":") }
        return isName ? ByteString(value) : nil
    }

    /// No longer than the limit, and not cut within a character of UTF-8, which has at most three bytes after the first.
    private static func text(_ value: ArraySlice<UInt8>) -> ByteString {
        let text = value.prefix(longestText)
        guard text.count < value.count, value[text.endIndex] & 0xc0 == 0x80,
            let lead = text.suffix(3).lastIndex(where: { $0 & 0xc0 != 0x80 })
        else { return ByteString(text) }
        return ByteString(text[..<lead])
    }
}

/// Decimal digits and nothing else; more than 64 bits are `UInt64.max`.
private func number(_ text: ArraySlice<UInt8>, _ range: ClosedRange<UInt64>) -> UInt64? {
    if text.isEmpty { return nil }
    var value: UInt64 = 0
    for byte in text {
        let digit = UInt64(byte &- UInt8(ascii: "0"))
        if digit > 9 { return nil }
        value = saturating(value.multipliedReportingOverflow(by: 10))
        value = saturating(value.addingReportingOverflow(digit))
    }
    return range.contains(value) ? value : nil
}

/// Microseconds as nanoseconds.
private func duration(_ text: ArraySlice<UInt8>) -> UInt64? {
    number(text, 0...UInt64.max).map { saturating($0.multipliedReportingOverflow(by: 1000)) }
}

private func saturating(_ result: (partialValue: UInt64, overflow: Bool)) -> UInt64 {
    result.overflow ? .max : result.partialValue
}
