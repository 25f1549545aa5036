import Bytes
import CLinux

/// The permissions of a socket file, which nobody ever sees with more.
public enum SocketPermissions: Equatable, Sendable {
    /// These, whatever the file mode creation mask is.
    case exactly(UInt32)
    /// All that this mask leaves.
    case masked(UInt32)
    /// All that the mask of this process leaves.
    case inherited
}

/// Gives a UNIX-domain socket its path. A socket that is there already is removed first if nobody has it open any more;
/// while somebody has, or when something else is there, it throws EADDRINUSE. bind(2).
public func bindReplacingAbandoned(
    _ socket: borrowing Descriptor, toPath path: ByteString, isDatagram: Bool = false,
    _ permissions: SocketPermissions = .inherited
) throws(SystemError) {
    var mask: UInt32?
    switch permissions {
    case .exactly(let mode):
        try setPermissions(socket, mode)
        mask = 0
    case .masked(let bits): mask = bits
    case .inherited: break
    }
    let previous = mask.map { CurrentProcess.setUmask($0) }
    defer { if let previous { CurrentProcess.setUmask(previous) } }
    do throws(SystemError) { try bind(socket, toPath: path) } catch {
        guard error.errno == .addressInUse, isAbandoned(path, isDatagram: isDatagram) else {
            throw error
        }
        try removeFile(path)
        try bind(socket, toPath: path)
    }
}

/// Whether nobody has the socket open any more that is there.
private func isAbandoned(_ path: ByteString, isDatagram: Bool) -> Bool {
    do {
        guard try status(of: path).isSocket else { return false }
        let probe =
            isDatagram ? try makeUnixDatagramSocket() : try makeUnixSocket(nonBlocking: true)
        try connect(probe, toPath: path)
        return false
    } catch { return error.errno == .connectionRefused }
}
