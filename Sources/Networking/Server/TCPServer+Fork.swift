import Bytes
import Commands
import Formats
import Linux

/// What a copy of the server does for its one connection: all that may take time.
extension TCPServer {
    /// Looks up what is wanted, decides, and becomes the program. `greeted` bytes of the banner have
    /// been sent.
    mutating func serveAsCopy(_ connection: Connection, _ socket: Int32, greeted: Int) -> Never {
        var connection = connection
        let pid = CurrentProcess.id
        listener.close()
        pending.removeAll()
        held.removeAll()
        beInterruptible()
        log.clear()
        log.accepted(pid, connection)
        log.write()
        finishGreeting(socket, from: greeted)
        if needsLookUp(connection) { endIfReset(socket) }
        lookUpLocal(&connection, socket)
        lookUpRemote(&connection)
        edits.removeAll(keepingCapacity: true)
        connection.describe(in: &edits)
        let verdict: Access.Verdict
        do { verdict = try access.decide(connection, &children, nil, edits: &edits) } catch {
            drop("unable to read \(options.rules ?? ByteString())", error.errno)
        }
        log.decided(pid, connection, verdict.denial)
        log.write()
        if verdict.denial != nil { turnAway(socket, verdict) }
        becomeProgram(socket)
    }

    /// A server that drains has noted SIGTERM for itself, not for its copies.
    private func beInterruptible() {
        guard options.drains else { return }
        do {
            try setDisposition(.terminate, ignored: false)
            try setup.blockedSignals.block()
        } catch { drop("unable to set up signals", error.errno) }
    }

    private func drop(_ text: ByteString, _ errno: Errno?) -> Never {
        warn("dropping connection, \(text)", errno)
        exitNow(111)
    }

    private func finishGreeting(_ socket: Int32, from sent: Int) {
        do { try writeAll(socket, Array(options.banner.bytes.dropFirst(sent))) } catch {
            drop("unable to print banner", error.errno)
        }
    }

    private func lookUpLocal(_ connection: inout Connection, _ socket: Int32) {
        do { try findLocalAddress(&connection, socket) } catch {
            drop("unable to get local address", error.errno)
        }
        if connection.unix == nil, options.common.localName == nil {
            connection.localHost = nameOfHost(connection.local)
        }
    }

    private func lookUpRemote(_ connection: inout Connection) {
        if connection.unix != nil { return }
        if options.common.findsRemoteHost {
            let remote = connection.remote
            if let name = rawNameOfHost(remote), !options.isParanoid || host(name, has: remote) {
                connection.remoteHost = escapedHostName(name)
            }
        }
        // The proxy's connection is not one that the client's ident server knows.
        if options.common.asksIdent && !connection.isProxied {
            connection.remoteInfo = identity(
                of: SocketAddress(connection.remote, port: connection.remotePort),
                seenFrom: SocketAddress(connection.local, port: connection.localPort),
                seconds: options.common.identTimeout)
        }
    }

    private func nameOfHost(_ address: IPAddress) -> ByteString? {
        rawNameOfHost(address).map { escapedHostName($0) }
    }

    /// Nil when there is no name, or when it cannot be found out now.
    private func rawNameOfHost(_ address: IPAddress) -> ByteString? {
        do { return try hostName(of: SocketAddress(address, port: 0)) } catch { return nil }
    }

    private func host(_ name: ByteString, has address: IPAddress) -> Bool {
        let family: AddressFamily = address.isIPv6 ? .ipv6 : .ipv4
        do { return try addresses(of: name, family, port: 0).contains { $0.ip == address } } catch {
            return false
        }
    }

    /// A client that is gone must not keep others out while somebody is asked about it.
    private func endIfReset(_ socket: Int32) {
        do { try exitOnReset(of: socket, exitCode: 111) } catch {
            drop("unable to watch the connection", error.errno)
        }
    }

    private func turnAway(_ socket: Int32, _ verdict: Access.Verdict) -> Never {
        if !verdict.message.isEmpty {
            do { try writeAll(socket, verdict.message.bytes + Array("\r\n")) } catch {
                drop("unable to print diemsg", error.errno)
            }
        }
        if verdict.isHeld {
            denials?.report()
            pause(until: Instant.now.advanced(milliseconds: HeldClient.milliseconds))
        }
        exitNow(100)
    }

    private func becomeProgram(_ socket: Int32) -> Never {
        do {
            try redirect(Standard.input, to: socket)
            try redirect(Standard.output, to: socket)
        } catch { drop("unable to set up descriptors", error.errno) }
        do {
            try stopExitingOnReset(of: socket)
            try setDisposition(.pipe, ignored: false)
            try setup.blockedSignals.block()
            do throws(Failure) { try options.confineChild?() } catch {
                drop(error.text, error.errno)
            }
            try program.execute(edits: edits)
        } catch { drop("unable to run \(program.program)", error.errno) }
    }
}
