import Bytes
import Commands
import Formats
import Linux

/// One connection, as far as the server itself has to do with it.
extension TCPServer {
    mutating func serve(_ accepted: consuming AcceptedConnection) {
        guard let connection = describe(accepted.peer, accepted.socket.number) else { return }
        // Written here and not by the child, which may be overtaken by the next one.
        log.status(connections + 1, of: options.limit)
        log.write()
        let greeted = greet(accepted.socket.number)
        if options.trustsProxy(connection) {
            pending.append(PendingConnection(connection, accepted.socket, greeted: greeted))
            advancePending(pending.count - 1)
        } else {
            serve(connection, accepted.socket, greeted: greeted)
        }
    }

    /// Serves a connection of which `greeted` bytes of the banner have been sent.
    mutating func serve(_ connection: Connection, _ socket: consuming Descriptor, greeted: Int) {
        var connection = connection
        var verdict: Access.Verdict?
        if greeted == options.banner.count {
            verdict = decideAtOnce(&connection, socket.number)
        }
        do throws(SystemError) {
            guard let verdict else {
                return try startCopy(connection, socket.number, greeted: greeted)
            }
            if !verdict.message.isEmpty {
                _ = sendAtOnce("\(verdict.message)\r\n", socket.number)
            }
            // Without a log nobody would see that there was a child.
            if verdict.denial == nil || options.common.verbosity == .all {
                try startAtOnce(verdict, connection, socket.number)
            }
            if verdict.isHeld { hold(socket) }
        } catch {
            log.clear()
            warn("dropping connection, unable to fork", error.errno)
            log.status(connections, of: options.limit)
            log.write()
        }
    }

    /// What is known of a connection at once; nil when nothing can be found out.
    private func describe(_ peer: SocketAddress?, _ socket: Int32) -> Connection? {
        if let peer {
            var connection = Connection(
                localPort: listener.port, remote: peer.ip, remotePort: peer.port)
            connection.localHost = options.common.localName
            return connection
        }
        do throws(SystemError) {
            let credentials = try peerCredentials(of: socket)
            var connection = Connection(
                localPort: 0, remote: IPAddress(ipv4: credentials.user), remotePort: 0)
            connection.localHost = options.common.localName
            connection.unix = UnixEnd(path: listener.path ?? ByteString(), credentials: credentials)
            return connection
        } catch {
            warn("dropping connection, unable to get remote address", error.errno)
            return nil
        }
    }

    /// Sets the socket up and sends what fits of the banner; returns how much of it was sent.
    private func greet(_ socket: Int32) -> Int {
        // The connection works without.
        if options.common.noDelay { do { try set(.noDelay, true, of: socket) } catch {} }
        return options.banner.isEmpty ? 0 : sendAtOnce(options.banner, socket)
    }

    /// Sends what can be sent without waiting; returns how much that was.
    private func sendAtOnce(_ text: ByteString, _ socket: Int32) -> Int {
        text.withCString {
            let bytes = UnsafeRawBufferPointer(start: $0, count: text.count)
            do throws(SystemError) { return try sendNow(socket, bytes) } catch { return 0 }
        }
    }

    /// The verdict and the child's environment, if they can be had without waiting. The address's rule
    /// and the limits come before any look-up: one address whose name or ident server is silent must not
    /// take all connections.
    private mutating func decideAtOnce(_ connection: inout Connection, _ socket: Int32)
        -> Access.Verdict?
    {
        do throws(SystemError) {
            try findLocalAddress(&connection, socket)
            edits.removeAll(keepingCapacity: true)
            connection.describe(in: &edits)
            let verdict = try access.decide(connection, &children, rates, edits: &edits)
            switch verdict.denial {
            case .limit: return verdict
            case .rule where !needsLookUp(connection) || !access.rulesDependOnNames: return verdict
            case .rule: return nil
            // What a child borrows of our memory it cannot be confined in.
            case nil:
                return needsLookUp(connection) || options.confineChild != nil ? nil : verdict
            }
        } catch {
            // The copy meets the same error, and says so under its process id.
            return nil
        }
    }

    func needsLookUp(_ connection: Connection) -> Bool {
        connection.unix == nil && (options.looksUpClients || options.common.localName == nil)
    }

    func findLocalAddress(_ connection: inout Connection, _ socket: Int32)
        throws(SystemError)
    {
        if connection.isProxied || connection.unix != nil { return }
        if let address = listener.address {
            connection.local = address
        } else if let address = try localAddress(of: socket) {
            connection.local = address.ip
        }
    }

    /// Starts the program, or a child that ends as one that was denied, with vfork. The child itself
    /// writes the lines that have its id, so that they come before all that the program prints.
    private mutating func startAtOnce(
        _ verdict: Access.Verdict, _ connection: Connection, _ socket: Int32
    ) throws(SystemError) {
        log.accepted(nil, connection)
        log.decided(nil, connection, verdict.denial)
        var setup = setup
        setup.descriptors = [socket, socket]
        let result =
            verdict.denial == nil
            ? try starter.start(edits: edits, setup: setup, announcement: log.lines)
            : try startEnding(exitCode: 100, announcement: log.lines)
        log.clear()
        switch result {
        case .running(let pid): children.add(pid, for: connection.remote)
        case .failed(let pid, let errno):
            warn("dropping connection, unable to run \(program.program)", errno)
            log.ended(pid, ExitStatus(raw: 111 << 8))
            log.status(connections, of: options.limit)
            log.write()
        }
    }

    private mutating func startCopy(_ connection: Connection, _ socket: Int32, greeted: Int)
        throws(SystemError)
    {
        switch try forkProcess() {
        case .parent(let pid): children.add(pid, for: connection.remote)
        case .child: serveAsCopy(connection, socket, greeted: greeted)
        }
    }
}
