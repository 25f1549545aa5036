import Bytes
import Commands
import Linux

/// The actions of a multilog script by the byte their word begins with. Words that begin with
/// anything else mean nothing and are passed over, as the original does.
public enum LogAction: UInt8, CaseIterable, Sendable {
    /// `!COMMAND`: the processor of the directories that follow.
    case processor = 0x21
    /// `+PATTERN`: selects a deselected line that matches.
    case select = 0x2b
    /// `-PATTERN`: deselects a selected line that matches.
    case deselect = 0x2d
    /// `./DIR`: writes selected lines to a log directory.
    case directory = 0x2e
    /// `/DIR`: the same, from the root.
    case absoluteDirectory = 0x2f
    /// `1`: writes selected lines to standard output. That is s6-log's.
    case output = 0x31
    /// `=FILE`: keeps the last selected line in a file.
    case status = 0x3d
    /// `e`: shows selected lines, the first 200 bytes of each, on standard error.
    case show = 0x65
    /// `nNUMBER`: how many files the directories that follow keep.
    case count = 0x6e
    /// `sSIZE`: how large a file of the directories that follow grows.
    case size = 0x73
    /// `t`: stamps every line; only as the first action.
    case stamp = 0x74
}

/// A log directory as the script asks for it.
public struct LogDirectorySettings: Equatable, Sendable {
    /// Its path as the user wrote it, which messages repeat.
    public let path: ByteString
    /// The greatest size of a file in bytes.
    public let size: Int
    /// How many files there are at most, `current` included.
    public let count: UInt
    /// What turns a full file into an archived one, if not nothing.
    public let processor: ByteString?

    /// Whether it is standard output, and no directory.
    var isOutput: Bool { path == "1" }
}

/// A multilog script, read once: what to do with each line, and where lines go.
public struct LogScript: Sendable {
    /// Something that is done with every line. It refers to patterns, files and directories by
    /// position, so that running a script counts no references.
    public enum Step: Equatable, Sendable {
        /// Select if the pattern, a range of `patterns`, matches.
        case select(Range<Int>)
        /// Deselect if the pattern matches.
        case deselect(Range<Int>)
        /// Write the line to standard error.
        case show
        /// Keep the line in the status file of this index.
        case keep(Int)
        /// Write the line to the directory of this index.
        case write(Int)
    }

    /// Whether lines are stamped.
    public internal(set) var stampsLines: Bool
    /// What is done with a line, in order.
    public let steps: [Step]
    /// The text of all patterns.
    public let patterns: [UInt8]
    /// The status files.
    public let statusFiles: [ByteString]
    /// The log directories, and standard output among them.
    public let directories: [LogDirectorySettings]

    /// A file size is brought within this range, as the original does.
    static let sizes = 4096...16_777_215
    static let defaultSize = 99999
    static let leastCount: UInt = 2
    static let defaultCount: UInt = 10

    /// Reads the words of a script, one action each. Every script is valid.
    public init(_ words: some Collection<ByteString>) {
        var steps: [Step] = []
        var patterns: [UInt8] = []
        var statusFiles: [ByteString] = []
        var directories: [LogDirectorySettings] = []
        var size = LogScript.defaultSize
        var count = LogScript.defaultCount
        var processor: ByteString?
        func pattern(_ word: ByteString) -> Range<Int> {
            let start = patterns.count
            patterns += word.bytes.dropFirst()
            return start..<patterns.count
        }
        for word in words {
            guard let letter = word.bytes.first, let action = LogAction(rawValue: letter) else {
                continue
            }
            let value = word.bytes.dropFirst()
            switch action {
            case .stamp: break
            case .select: steps.append(.select(pattern(word)))
            case .deselect: steps.append(.deselect(pattern(word)))
            case .show: steps.append(.show)
            case .status:
                steps.append(.keep(statusFiles.count))
                statusFiles.append(ByteString(value))
            case .output where !value.isEmpty: break
            case .directory, .absoluteDirectory, .output:
                steps.append(.write(directories.count))
                directories.append(
                    LogDirectorySettings(
                        path: word, size: size, count: count, processor: processor))
            case .size: size = LogScript.clamp(scanDecimal(value).value)
            case .count: count = max(scanDecimal(value).value, LogScript.leastCount)
            case .processor: processor = ByteString(value)
            }
        }
        stampsLines = words.first?.bytes.first == LogAction.stamp.rawValue
        self.steps = steps
        self.patterns = patterns
        self.statusFiles = statusFiles
        self.directories = directories
    }

    private static func clamp(_ size: UInt) -> Int {
        min(max(Int(clamping: size), sizes.lowerBound), sizes.upperBound)
    }
}
