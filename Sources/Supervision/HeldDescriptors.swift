import Bytes
import Commands
import Linux
import Services

/// Descriptors that the supervisor holds for a service across its restarts: sockets that it listens on, and what the
/// service left with it. sd_listen_fds(3), sd_pid_notify_with_fds(3).
final class HeldDescriptors {
    /// One of them.
    private final class Held {
        let descriptor: Descriptor
        let name: ByteString
        /// Whether it is of no use once its other end is gone.
        let isPolled: Bool

        init(_ descriptor: consuming Descriptor, _ name: ByteString, isPolled: Bool = false) {
            self.descriptor = descriptor
            self.name = name
            self.isPolled = isPolled
        }
    }

    private var sockets: [Held] = []
    private var opened: [ServiceDefinition.Socket] = []
    private var stored: [Held] = []

    /// The first number that a service finds them at.
    static let first = 3
    /// The number after the last that a service can find one at: what `settings` allows of both.
    static let most = first + Settings.mostSockets + Settings.mostStored

    /// Takes over a socket that another image of this process opened.
    func adopt(_ socket: consuming Descriptor, _ definition: ServiceDefinition.Socket) {
        sockets.append(Held(socket, definition.name))
        opened.append(definition)
    }

    /// Takes over what was left with another image of this process.
    func adopt(stored descriptor: consuming Descriptor, _ name: ByteString, isPolled: Bool) {
        stored.append(Held(descriptor, name, isPolled: isPolled))
    }

    /// Which socket is what.
    var socketFacts: [(number: Int32, ServiceDefinition.Socket)] {
        opened.indices.map { (sockets[$0].descriptor.number, opened[$0]) }
    }

    /// What was left, under which name.
    var storedFacts: [(number: Int32, name: ByteString, isPolled: Bool)] {
        stored.map { ($0.descriptor.number, $0.name, $0.isPolled) }
    }

    /// Opens the sockets of a definition; those that are open already stay open, so that no connection is lost.
    func open(_ wanted: [ServiceDefinition.Socket]) throws(SystemError) {
        if wanted == opened { return }
        var next: [Held] = []
        for socket in wanted {
            if let index = opened.firstIndex(of: socket) {
                next.append(sockets[index])
            } else {
                next.append(Held(try HeldDescriptors.open(socket), socket.name))
            }
        }
        sockets = next
        opened = wanted
    }

    private static func open(_ socket: ServiceDefinition.Socket) throws(SystemError) -> Descriptor {
        let kind: ListeningSocketKind =
            switch socket.kind {
            case .tcp: .tcp
            case .udp: .udp
            case .unix: .unix
            case .unixDatagram: .unixDatagram
            }
        return try openListeningSocket(kind, socket.address)
    }

    /// Closes them all.
    func closeAll() {
        sockets = []
        opened = []
        stored = []
    }

    /// The numbers of the sockets, to wait on.
    var socketNumbers: [Int32] { sockets.map { $0.descriptor.number } }

    /// The numbers of all, in the order in which a service gets them.
    var numbers: [Int32] { (sockets + stored).map { $0.descriptor.number } }

    /// Their names, as LISTEN_FDNAMES has them.
    var names: ByteString {
        ByteString((sockets + stored).map { $0.name.isEmpty ? "unknown" : $0.name }, joinedBy: ":")
    }

    /// Keeps a descriptor; one too many is closed. One that is polled is kept no longer than its other end is there.
    func store(
        _ descriptor: consuming Descriptor, _ name: ByteString, isPolled: Bool, limit: UInt32
    ) {
        if stored.count >= Int(limit) { removeUseless() }
        guard stored.count < Int(limit) else { return }
        stored.append(Held(descriptor, name, isPolled: isPolled))
    }

    /// Closes what was left and has lost its other end since. Nobody misses it before somebody is given the rest.
    func removeUseless() {
        let polled = stored.filter { $0.isPolled }
        if polled.isEmpty { return }
        var awaited = polled.map { Awaited($0.descriptor.number, []) }
        do throws(SystemError) { try poll(&awaited, milliseconds: 0) } catch { return }
        let useless = awaited.filter { $0.hasHungUp }.map { $0.descriptor }
        stored.removeAll { $0.isPolled && useless.contains($0.descriptor.number) }
    }

    /// Closes what was left under a name.
    func remove(_ name: ByteString) { stored.removeAll { $0.name == name } }
}
