import Bytes
import Commands
import Formats
import Linux

/// The lines that `tcpserver -v` writes, which scripts have parsed for decades. They are gathered here
/// and go out in one write.
struct ConnectionLog {
    private let program: ByteString
    private let isOn: Bool
    /// What has been gathered. A NUL stands for the child's process id where the child is to write it.
    private(set) var lines: [UInt8] = []

    /// The log of the program that speaks through `messages`; without `isOn` nothing is ever gathered.
    init(_ messages: Messages, isOn: Bool) {
        program = messages.program
        self.isOn = isOn
        lines.reserveCapacity(2048)
    }

    /// Forgets what has been gathered.
    mutating func clear() { lines.removeAll(keepingCapacity: true) }

    /// Writes what has been gathered on standard error; whether that works there is nobody to tell.
    mutating func write() {
        if lines.isEmpty { return }
        do { try writeAll(Standard.error, lines) } catch {}
        clear()
    }

    /// How many connections are open.
    mutating func status(_ count: Int, of limit: UInt) {
        guard isOn else { return }
        start(" status: ")
        appendDecimal(count, to: &lines)
        add("/")
        appendDecimal(limit, to: &lines)
        add("\n")
    }

    /// A connection has come.
    mutating func accepted(_ pid: ProcessID?, _ connection: Connection) {
        guard isOn else { return }
        start(" pid ")
        add(pid)
        add(" from ")
        if connection.unix == nil { connection.remote.write(to: &lines) } else { add("unix") }
        add("\n")
    }

    /// A connection is let in; or denied, if there is a reason.
    mutating func decided(
        _ pid: ProcessID?, _ connection: Connection, _ denial: Denial?
    ) {
        guard isOn else { return }
        start(denial == nil ? " ok " : " deny ")
        add(pid)
        add(" ")
        if let unix = connection.unix { add(unix, connection) } else { add(connection) }
        if let denial { lines.append(contentsOf: denial.suffix.bytes) }
        add("\n")
    }

    /// A child has ended.
    mutating func ended(_ pid: ProcessID, _ status: ExitStatus) {
        guard isOn else { return }
        start(" end ")
        add(pid)
        add(" status ")
        appendDecimal(status.raw, to: &lines)
        add("\n")
    }

    /// The ends of a connection: host, address and port of ours; host, address, user and port of the
    /// other.
    private mutating func add(_ connection: Connection) {
        add(connection.localHost)
        add(":")
        add(connection.local)
        add(":")
        appendDecimal(connection.localPort, to: &lines)
        add(" ")
        add(connection.remoteHost)
        add(":")
        add(connection.remote)
        add(":")
        add(connection.remoteInfo)
        add(":")
        appendDecimal(connection.remotePort, to: &lines)
    }

    /// The same of a UNIX-domain connection: the path is our address, a user has a process.
    private mutating func add(_ unix: UnixEnd, _ connection: Connection) {
        add(connection.localHost)
        add(":")
        addSafely(unix.path.bytes)
        add(":0 :unix:")
        appendDecimal(unix.credentials.user, to: &lines)
        add(":")
        appendDecimal(unix.credentials.process, to: &lines)
    }

    private mutating func start(_ text: StaticString) {
        lines.append(contentsOf: program.bytes)
        add(":")
        add(text)
    }

    private mutating func add(_ text: StaticString) {
        lines.append(text)
    }

    private mutating func add(_ pid: ProcessID?) {
        if let pid { appendDecimal(pid, to: &lines) } else { lines.append(0) }
    }

    /// IPv6 addresses are in brackets: the fields are told apart by colons.
    private mutating func add(_ address: IPAddress) {
        if address.isIPv6 { add("[") }
        address.write(to: &lines)
        if address.isIPv6 { add("]") }
    }

    private mutating func add(_ name: ByteString?) {
        if let name { addSafely(name.bytes) }
    }

    /// What comes from outside can neither break the line nor forge a field.
    private mutating func addSafely(_ text: some Collection<UInt8>) {
        for byte in text.prefix(100) {
            let isSafe =
                (33...126).contains(byte) && byte != UInt8(ascii: "%") && byte != UInt8(ascii: ":")
            lines.append(isSafe ? byte : UInt8(ascii: "?"))
        }
        if text.count >= 100 { add("...") }
    }
}
