import Bytes

/// What the first byte of a line in svlogd's `config` means. Lines that begin with anything else mean nothing and
/// are passed over, as the original does.
public enum SvlogdSetting: UInt8, CaseIterable, Sendable {
    /// `!COMMAND`: what full files are fed through.
    case processor = 0x21
    /// `+PATTERN`: selects lines that match.
    case select = 0x2b
    /// `-PATTERN`: deselects them.
    case deselect = 0x2d
    /// `EPATTERN`: does not show them on standard error.
    case hide = 0x45
    /// `NNUMBER`: how many old files remain when they are removed because the disk is full.
    case leastCount = 0x4e
    /// `UADDRESS[:PORT]`: sends lines as datagrams, and does not write them.
    case onlySend = 0x55
    /// `ePATTERN`: shows lines that match on standard error.
    case show = 0x65
    /// `nNUMBER`: how many old files are kept.
    case count = 0x6e
    /// `pPREFIX`: what every line begins with.
    case prefix = 0x70
    /// `sSIZE`: how large a file grows.
    case size = 0x73
    /// `tSECONDS`: how old a file grows.
    case age = 0x74
    /// `uADDRESS[:PORT]`: sends lines as datagrams.
    case send = 0x75
}

/// What svlogd is told about a log directory by the file `config` in it.
public struct SvlogdSettings: Equatable, Sendable {
    /// A pattern, and what is done with lines that match.
    struct Rule: Equatable, Sendable {
        let setting: SvlogdSetting
        /// Which of `patterns`.
        let pattern: Range<Int>
    }

    /// Where lines are sent.
    public struct Target: Equatable, Sendable {
        /// The IPv4 address, its first byte the highest.
        public let address: UInt32
        /// The port.
        public let port: UInt16

        /// The port of syslog.
        public static let usualPort: UInt16 = 514
    }

    /// The greatest size of a file in bytes; 0 for any.
    public private(set) var size = 1_000_000
    /// How many old files are kept; 0 for all.
    public private(set) var count: UInt = 10
    /// How many old files a full disk leaves; none is removed unless it is below `count`.
    public private(set) var leastCount: UInt = 10
    /// How many seconds a file is written to at most; 0 for any.
    public private(set) var age: UInt64 = 0
    /// What full files are fed through, if anything.
    public private(set) var processor: ByteString?
    /// What every line begins with.
    public private(set) var prefix: [UInt8] = []
    /// Where lines are sent, if anywhere.
    public private(set) var target: Target?
    /// Whether lines are sent and not written.
    public private(set) var onlySends = false
    /// What was wrong, a line each.
    public private(set) var complaints: [ByteString] = []
    private var rules: [Rule] = []
    private var patterns: [UInt8] = []

    /// The settings where there is no file.
    public init() {}

    /// Reads the content of a file.
    public init(_ content: [UInt8]) {
        for line in content.split(separator: UInt8(ascii: "\n")) {
            guard let setting = line.first.flatMap(SvlogdSetting.init) else { continue }
            // What is behind a NUL is not seen by the original.
            take(setting, line.dropFirst().prefix { $0 != 0 })
        }
    }

    private mutating func take(_ setting: SvlogdSetting, _ value: ArraySlice<UInt8>) {
        switch setting {
        case .select, .deselect, .show, .hide:
            let start = patterns.count
            patterns += value
            rules.append(Rule(setting: setting, pattern: start..<patterns.count))
        case .size:
            let units: [(UInt8, UInt)] = [
                (UInt8(ascii: "k"), 1 << 10), (UInt8(ascii: "m"), 1 << 20),
            ]
            size = Int(clamping: SvlogdSettings.number(value, units))
        case .age:
            let units: [(UInt8, UInt)] = [(UInt8(ascii: "m"), 60), (UInt8(ascii: "h"), 3600)]
            age = UInt64(SvlogdSettings.number(value, units))
        case .count: count = scanDecimal(value).value
        case .leastCount: leastCount = scanDecimal(value).value
        case .processor: if !value.isEmpty { processor = ByteString(value) }
        case .prefix: if !value.isEmpty { prefix = Array(value) }
        case .send: takeTarget(value)
        case .onlySend:
            onlySends = true
            takeTarget(value)
        }
    }

    private mutating func takeTarget(_ text: ArraySlice<UInt8>) {
        var rest = text
        var address: UInt32 = 0
        for place in 0..<4 {
            if place > 0 {
                guard rest.first == UInt8(ascii: ".") else { return complain("ip address", text) }
                rest = rest.dropFirst()
            }
            let (value, length) = scanDecimal(rest)
            guard length > 0, value <= 255 else { return complain("ip address", text) }
            address = address << 8 | UInt32(value)
            rest = rest.dropFirst(length)
        }
        guard rest.first == UInt8(ascii: ":") else {
            return target = Target(address: address, port: Target.usualPort)
        }
        guard let port = UInt16(exactly: scanDecimal(rest.dropFirst()).value), port != 0 else {
            return complain("port number", rest.dropFirst())
        }
        target = Target(address: address, port: port)
    }

    private mutating func complain(_ what: StaticString, _ text: ArraySlice<UInt8>) {
        complaints.append("unable to scan \(what): \(ByteString(text))")
    }

    /// The decimal digits at the start of `text`, times the factor of the letter that follows.
    private static func number(_ text: ArraySlice<UInt8>, _ units: [(UInt8, UInt)]) -> UInt {
        let (value, length) = scanDecimal(text)
        let letter = text.dropFirst(length).first
        for (unit, factor) in units where unit == letter {
            let (product, hasOverflowed) = value.multipliedReportingOverflow(by: factor)
            return hasOverflowed ? .max : product
        }
        return value
    }

    /// Whether a line that begins with `head` is written, and whether it is shown.
    public func judge(_ head: UnsafeRawBufferPointer) -> (isSelected: Bool, isShown: Bool) {
        if rules.isEmpty { return (true, false) }
        return patterns.withUnsafeBytes { patterns in
            var (isSelected, isShown) = (true, false)
            for rule in rules {
                let pattern = UnsafeRawBufferPointer(rebasing: patterns[rule.pattern])
                guard matchesOfSvlogd(pattern, head) else { continue }
                switch rule.setting {
                case .select: isSelected = true
                case .deselect: isSelected = false
                case .show: isShown = true
                default: isShown = false
                }
            }
            return (isSelected, isShown)
        }
    }
}

/// Whether the whole of `line` matches a pattern of svlogd: as in multilog, a star at the end matches the rest of
/// the line, and any other skips to the first occurrence of the byte that follows it; a plus matches the byte that
/// follows it as often as it comes, but at least once.
public func matchesOfSvlogd(_ pattern: UnsafeRawBufferPointer, _ line: UnsafeRawBufferPointer)
    -> Bool
{
    var rest = line[...]
    var index = 0
    while index < pattern.count {
        let byte = pattern[index]
        index += 1
        switch byte {
        case UInt8(ascii: "*"):
            guard index < pattern.count else { return true }
            guard
                let skipped = offset(of: pattern[index], in: UnsafeRawBufferPointer(rebasing: rest))
            else { return false }
            rest = rest.dropFirst(skipped)
        case UInt8(ascii: "+"):
            guard index < pattern.count, rest.first == pattern[index] else { return false }
            rest = rest.drop { $0 == pattern[index] }
            index += 1
        default:
            guard rest.first == byte else { return false }
            rest = rest.dropFirst()
        }
    }
    return rest.isEmpty
}
