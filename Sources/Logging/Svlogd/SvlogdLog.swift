import Bytes
import Commands
import Linux

/// One of svlogd's logs: where its lines are written and sent, and when its file is old.
struct SvlogdLog: ~Copyable {
    /// Where lines are written.
    var output: LogOutput<SvlogdDirectory>
    /// What `config` says.
    let settings: SvlogdSettings
    /// Whether the line being read is written here.
    var isSelected = false

    private let socket: Descriptor?
    /// When the file is too old.
    private var expiry: Instant?

    /// Opens the log in the directory `path`; see `SvlogdDirectory`. Lines have at most `options.lineLimit` bytes
    /// before they stream.
    init(
        _ path: ByteString, _ job: ProcessorJob?, _ options: SvlogdOptions, _ processor: Processor,
        _ retry: Retry, _ voice: SvlogdVoice
    ) throws(Failure) {
        let directory = try SvlogdDirectory(path, job, processor, retry, voice)
        let settings = directory.settings
        let lineLimit = options.lineLimit
        let size = settings.size == 0 ? Int.max : settings.size
        // Where a file is smaller than a line may be, it never looks for the end of one.
        let rule = SizeRule(size: size, margin: size < lineLimit ? -1 : lineLimit)
        let piece = options.chunkSize + settings.prefix.count + SvlogdLog.extraRoom
        let block = try require("out of memory") { () throws(SystemError) in
            try ByteBlock(
                count: max(LogOutput<SvlogdDirectory>.capacity, 3 * piece), orAtLeast: 3 * piece)
        }
        let socket = try SvlogdLog.socket(settings)
        self.settings = settings
        self.socket = socket
        output = LogOutput(directory, rule, chunkSize: options.chunkSize, block)
        expiry = SvlogdLog.expiry(settings)
    }

    /// For a stamp and the words about a line that could not be sent.
    private static let extraRoom = 128

    private static func socket(_ settings: SvlogdSettings) throws(Failure) -> Descriptor? {
        if settings.target == nil { return nil }
        return try require("unable to make a socket") { () throws(SystemError) in
            try makeDatagramSocket(isIPv6: false)
        }
    }

    private static func expiry(_ settings: SvlogdSettings) -> Instant? {
        if settings.age == 0 { return nil }
        return Instant.now.advanced(milliseconds: min(settings.age, 1 << 40) * 1000)
    }

    /// When something is to be done here: to rotate a file that is old, or to start a processor again.
    var deadline: Instant? {
        // What has given up does nothing more.
        if output.lostBytes != nil { return nil }
        guard let due = output.directory.job?.due else { return expiry }
        return min(due, expiry ?? due)
    }

    /// Does what is due. Everything has been flushed.
    mutating func tend() {
        output.tendProcessor()
        guard let expiry, expiry <= .now else { return }
        self.expiry = SvlogdLog.expiry(settings)
        output.rotateIfUsed()
    }

    /// Sends a line, without waiting for anybody; `line` is whole, with its newline. Where that fails the log says so.
    mutating func send(_ line: [UInt8]) {
        guard let target = settings.target else { return }
        do throws(SystemError) {
            let address = SocketAddress(
                low: UInt64(target.address), isIPv6: false, port: target.port)
            switch socket {
            case .some(let socket): try Linux.send(line, through: socket, to: address)
            case .none: break
            }
        } catch {
            add("warning: failure sending through udp: ".utf8)
            add(line)
            output.endChunk()
        }
    }

    /// Adds bytes that stay together.
    mutating func add(_ bytes: some Sequence<UInt8>) {
        Array(bytes).withUnsafeBytes { output.addHead($0) }
    }
}

extension LogOutput where Place == SvlogdDirectory {
    /// See `SvlogdDirectory.tendProcessor`.
    mutating func tendProcessor() { directory.tendProcessor() }

    /// See `SvlogdDirectory.endProcessor`.
    mutating func endProcessor() { directory.endProcessor() }
}
