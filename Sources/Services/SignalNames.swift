import Bytes

/// The signals by name. The numbers are those of Linux on x86, ARM and RISC-V. signal(7).
public enum SignalNames {
    /// The names of the signals from 1 on.
    private static let ordinary = WordList(
        """
        HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP \
        TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS
        """)
    /// The first real-time signal that glibc leaves to programs, which is what names count from.
    private static let firstRealTime: Int32 = 34
    /// The last signal.
    private static let last: Int32 = 64

    /// The number of a signal by its name, in any case, with or without `SIG`: `TERM`, `SIGTERM`, `RTMIN+3`; nil for
    /// no name of a signal.
    public static func number(named name: ByteString) -> Int32? {
        var text = name.uppercased
        if text.hasPrefix("SIG") { text = ByteString(text.bytes.dropFirst(3)) }
        if let place = ordinary.index(of: text) { return Int32(place + 1) }
        switch text {
        case "POLL": return number(named: "IO")
        case "IOT": return number(named: "ABRT")
        case "CLD": return number(named: "CHLD")
        case "RTMIN": return firstRealTime
        case "RTMAX": return last
        default: break
        }
        let room = Int(last - firstRealTime)
        if text.hasPrefix("RTMIN+"),
            let more = parseDecimal(ByteString(text.bytes.dropFirst(6)), within: 0...room)
        {
            return firstRealTime + Int32(more)
        }
        if text.hasPrefix("RTMAX-"),
            let less = parseDecimal(ByteString(text.bytes.dropFirst(6)), within: 0...room)
        {
            return last - Int32(less)
        }
        return nil
    }

    /// The number of a signal by its name or its number; nil when it is neither.
    public static func number(of text: ByteString) -> Int32? {
        number(named: text) ?? parseDecimal(text, within: 1...Int(last)).map { Int32($0) }
    }
}

extension ByteString {
    /// With ASCII letters in upper case.
    fileprivate var uppercased: ByteString {
        ByteString(
            bytes.map { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) ? $0 - 32 : $0 })
    }
}
