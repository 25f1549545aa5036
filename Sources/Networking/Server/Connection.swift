import Bytes
import Formats
import Linux

/// What is known of a connection.
struct Connection {
    /// The local address.
    var local = IPAddress(ipv4: 0)
    /// The port listened on.
    var localPort: UInt16
    /// The remote address; that of a UNIX-domain client is its user id.
    var remote: IPAddress
    /// The remote port.
    var remotePort: UInt16
    /// Whether a proxy passed the connection on.
    private(set) var isProxied = false
    /// That proxy, unless it came over a UNIX-domain socket.
    private var proxy: IPAddress?
    /// The other end of a UNIX-domain connection; nil for TCP.
    var unix: UnixEnd?
    /// The local host's name, if known.
    var localHost: ByteString?
    /// The remote host's name, if known.
    var remoteHost: ByteString?
    /// What the remote ident server answered, if it did.
    var remoteInfo: ByteString?

    /// As the access rules see it.
    var query: AccessQuery {
        if let unix {
            return AccessQuery(
                address: Array("unix"),
                info: Array(ByteString("\(unix.credentials.user)").bytes))
        }
        return AccessQuery(
            address: remote.text, host: remoteHost.map { Array($0.bytes) },
            info: remoteInfo.map { Array($0.bytes) })
    }

    /// Adds the variables the program is given to `edits`, in the form of `PreparedProgram.start`.
    func describe(in edits: inout [UInt8]) {
        if let unix { return unix.describe(in: &edits) }
        edits.set("PROTO=") {
            $0.append(remote.isIPv6 ? "TCP6" : "TCP")
        }
        edits.set("TCPLOCALIP=") { local.write(to: &$0) }
        edits.set("TCPLOCALPORT=") { appendDecimal(localPort, to: &$0) }
        edits.set("TCPLOCALHOST", localHost)
        edits.set("TCPREMOTEIP=") { remote.write(to: &$0) }
        edits.set("TCPREMOTEPORT=") { appendDecimal(remotePort, to: &$0) }
        edits.set("TCPREMOTEHOST", remoteHost)
        edits.set("TCPREMOTEINFO", remoteInfo)
        // Who reads it believes it, so that one that was inherited goes.
        edits.set("TCPPROXYIP", proxy.map { ByteString($0.text) })
    }

    /// Takes over what the header of a proxy says.
    mutating func take(_ header: ProxyHeader) {
        guard let ends = header.ends else { return }
        proxy = unix == nil ? remote : nil
        isProxied = true
        unix = nil
        (remote, remotePort) = (ends.client.address, ends.client.port)
        (local, localPort) = (ends.server.address, ends.server.port)
    }

    init(localPort: UInt16, remote: IPAddress, remotePort: UInt16) {
        self.localPort = localPort
        self.remote = remote
        self.remotePort = remotePort
    }
}

/// The other end of a UNIX-domain connection.
struct UnixEnd {
    /// The path of our socket.
    let path: ByteString
    /// Who connected.
    let credentials: PeerCredentials

    /// The variables of the UNIX-domain protocol; those of TCP that an outer server may have set are
    /// removed.
    func describe(in edits: inout [UInt8]) {
        edits.set("PROTO", "UNIX")
        edits.set("UNIXLOCALPATH", path)
        edits.set("UNIXREMOTEPID=") { appendDecimal(credentials.process, to: &$0) }
        edits.set("UNIXREMOTEEUID=") { appendDecimal(credentials.user, to: &$0) }
        edits.set("UNIXREMOTEEGID=") { appendDecimal(credentials.group, to: &$0) }
        for name in UnixEnd.tcpVariables { edits.set(name, nil) }
    }

    private static var tcpVariables: [StaticString] {
        [
            "TCPLOCALIP", "TCPLOCALPORT", "TCPLOCALHOST", "TCPREMOTEIP", "TCPREMOTEPORT",
            "TCPREMOTEHOST", "TCPREMOTEINFO", "TCPPROXYIP",
        ]
    }
}

/// Edits of an environment, in the form of `PreparedProgram.start`.
extension [UInt8] {
    /// Sets a variable; its name ends in an equals sign.
    fileprivate mutating func set(_ name: StaticString, _ value: (inout [UInt8]) -> Void) {
        append(name)
        value(&self)
        append(0)
    }

    /// Sets a variable to what is known, or removes it.
    fileprivate mutating func set(_ name: StaticString, _ value: ByteString?) {
        set(name) {
            guard let value else { return }
            $0.append(UInt8(ascii: "="))
            $0.append(contentsOf: value.bytes)
        }
    }
}
