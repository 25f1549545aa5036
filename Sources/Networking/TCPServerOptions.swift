import Bytes
import Commands
import Formats
import Linux

/// What the command line of tcpserver(1) says; the initial values are its defaults.
public struct TCPServerOptions: Sendable {
    /// What tcpclient(1) is told too.
    public var common: ConnectionOptions
    /// How many programs may run at once.
    public var limit: UInt = 40
    /// How many connections may wait to be accepted.
    public var backlog: Int32 = 20
    /// The compiled access rules, read anew for every connection.
    public var rules: ByteString?
    /// Whether a missing file of rules allows everybody.
    public var allowsWithoutRules = false
    /// What is written to a client before anything else.
    public var banner = ByteString()
    /// Whether the remote host's name is dropped unless its addresses include the remote one.
    public var isParanoid = false
    /// The group to become after the socket is bound, if not 0.
    public var group: UInt32 = 0
    /// The user to become after the socket is bound, if not 0.
    public var user: UInt32 = 0
    /// Whether the port is printed on standard output.
    public var reportsPort = false
    /// Whether other servers may listen on the same port, SO_REUSEPORT.
    public var sharesPort = false
    /// How many connections that begin with data may wait, TCP_FASTOPEN; 0 for none.
    public var fastOpen: Int32 = 0
    /// Seconds to wait for a client's first data before the connection is accepted; 0 for no wait.
    public var deferAccept: Int32 = 0
    /// The networks whose connections begin with a header of the PROXY protocol.
    public var proxies: [TrustedNetwork] = []
    /// Whether SIGTERM lets the programs end first.
    public var drains = false
    /// Confines the server for good, once it listens and has become the user wanted.
    public var confine: (@Sendable () throws(Failure) -> Void)?
    /// Confines a copy of the server just before it becomes the program.
    public var confineChild: (@Sendable () throws(Failure) -> Void)?

    /// The defaults.
    public init(host: ByteString, port: ByteString) {
        common = ConnectionOptions(host: host, port: port)
    }

    /// Whether a connection comes from a proxy that tells who its client is.
    func trustsProxy(_ connection: Connection) -> Bool {
        connection.unix == nil && proxies.contains { $0.contains(connection.remote) }
    }
}

/// Addresses that share so many bits.
public struct TrustedNetwork: Sendable {
    private let prefix: IPAddress
    private let length: Int

    /// Reads `ADDRESS` or `ADDRESS/LENGTH`; nil when it is neither.
    public init?(_ text: ByteString) {
        let words = text.bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard words.count <= 2, let address = IPAddress(words[0]) else { return nil }
        var length = address.width
        if words.count == 2 {
            let (value, digits) = scanDecimal(words[1])
            guard digits == words[1].count, digits > 0, value <= UInt(length) else { return nil }
            length = Int(value)
        }
        prefix = address.prefix(length)
        self.length = length
    }

    func contains(_ address: IPAddress) -> Bool {
        address.isIPv6 == prefix.isIPv6 && address.prefix(length) == prefix
    }
}
