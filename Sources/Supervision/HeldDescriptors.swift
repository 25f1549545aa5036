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

        init(_ descriptor: consuming Descriptor, _ name: ByteString) {
            self.descriptor = descriptor
            self.name = name
        }
    }

    private var sockets: [Held] = []
    private var opened: [ServiceDefinition.Socket] = []
    private var stored: [Held] = []

    /// The first number that a service finds them at.
    static let first = 3

    /// Takes over a socket that another image of this process opened.
    func adopt(_ socket: consuming Descriptor, _ definition: ServiceDefinition.Socket) {
        sockets.append(Held(socket, definition.name))
        opened.append(definition)
    }

    /// Takes over what was left with another image of this process.
    func adopt(stored descriptor: consuming Descriptor, _ name: ByteString) {
        stored.append(Held(descriptor, name))
    }

    /// Which socket is what.
    var socketFacts: [(number: Int32, ServiceDefinition.Socket)] {
        opened.indices.map { (sockets[$0].descriptor.number, opened[$0]) }
    }

    /// What was left, under which name.
    var storedFacts: [(number: Int32, name: ByteString)] {
        stored.map { ($0.descriptor.number, $0.name) }
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

    /// Keeps a descriptor; one too many is closed.
    func store(_ descriptor: consuming Descriptor, _ name: ByteString, limit: UInt32) {
        guard stored.count < Int(min(limit, 32)) else { return }
        stored.append(Held(descriptor, name))
    }

    /// Closes what was left under a name.
    func remove(_ name: ByteString) { stored.removeAll { $0.name == name } }
}
