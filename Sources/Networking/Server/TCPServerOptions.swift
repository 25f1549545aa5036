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
    /// The user to become after the socket is bound.
    public var user: UInt32?
    /// The group to become then, and the only one; that of the user's account, say.
    public var group: UInt32?
    /// Who owns a UNIX-domain socket, if not this process.
    public var socketOwner: (user: UInt32, group: UInt32)?
    /// The permissions of a UNIX-domain socket; nil for all that the umask leaves.
    public var socketMode: UInt32?
    /// The permissions that a UNIX-domain socket does not get; nil for the process's own.
    public var umask: UInt32?
    /// Seconds of silence after which a client is asked whether it is still there, SO_KEEPALIVE; 0 for
    /// never.
    public var keepAlive: Int32 = 0
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
    /// Whether connections over a UNIX-domain socket do.
    public var trustsLocalProxies = false
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
        if connection.unix != nil { return trustsLocalProxies }
        return proxies.contains { $0.contains(connection.remote) }
    }

    /// Whether somebody is asked about each client.
    var looksUpClients: Bool { common.findsRemoteHost || common.asksIdent }

    /// Whether a copy of the server may be what denies a client.
    var mayDenyLater: Bool { looksUpClients || common.localName == nil || !banner.isEmpty }

    /// Becomes the user and the group. Who is that already need not be allowed to.
    func assumeIdentity() throws(Failure) {
        do throws(SystemError) {
            if let group {
                try dropGroups(but: group)
                try CurrentProcess.setGroup(group)
            }
        } catch { throw error.explained("unable to set gid") }
        do throws(SystemError) { if let user { try CurrentProcess.setUser(user) } } catch {
            throw error.explained("unable to set uid")
        }
    }

    private func dropGroups(but group: UInt32) throws(SystemError) {
        do throws(SystemError) { try CurrentProcess.setGroups([group], primary: group) } catch {
            let isNoChange =
                CurrentProcess.group == group
                && (user ?? CurrentProcess.user) == CurrentProcess.user
            guard error.errno == .notPermitted, isNoChange, CurrentProcess.user != 0 else {
                throw error
            }
        }
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
