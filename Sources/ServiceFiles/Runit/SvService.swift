import Bytes
import Commands
import Formats
import Linux
import Services

/// A service as sv knows it: a name, and what is found in its directory, which is the current one while it is
/// looked at.
struct SvService {
    /// What the status file says of a service.
    enum Look {
        /// Somebody supervises it.
        case status(RunitStatus)
        /// Nobody does.
        case unsupervised
        /// It could not be read: what could not be done.
        case trouble(ByteString, Errno?)
    }

    /// The name as given.
    let name: ByteString

    /// Makes its directory the current one. A name is looked for in `services`, unless it begins with a dot or a
    /// slash or ends with a slash.
    func enter(from services: ByteString) throws(SystemError) {
        let slash = UInt8(ascii: "/")
        let first = name.bytes.first
        if first != slash && first != UInt8(ascii: ".") && first != nil && name.bytes.last != slash
        {
            try changeDirectory(services)
        }
        try changeDirectory(name)
    }

    /// What the status file of the current directory says, which may be in one of `states`.
    static func look(_ states: StatePlaces) -> Look {
        var step: StaticString = "open supervise/ok"
        do throws(SystemError) {
            let supervise = try SuperviseDirectory(of: .current, or: states)
            if try !supervise.isSupervised() { return .unsupervised }
            step = "open supervise/status"
            let file = try supervise.openStatus()
            step = "read supervise/status"
            var bytes = [UInt8](repeating: 0, count: StatusRecord.longest)
            let count = try bytes.withUnsafeMutableBufferPointer { (buffer) throws(SystemError) in
                try file.read(into: UnsafeMutableRawBufferPointer(buffer))
            }
            guard let status = RunitStatus(bytes[..<count]) else {
                return .trouble("unable to read supervise/status: bad format", nil)
            }
            return .status(status)
        } catch { return .trouble("unable to \(step)", error.errno) }
    }

    /// Whether `check`, if there is one, exits 0; its standard output is closed. What keeps it from being asked is
    /// handed to `warn`, and one that cannot be run is no obstacle.
    func isAvailable(
        _ environment: Environment, warn: (_ trouble: ByteString, Errno) -> Void
    ) -> Bool {
        do throws(SystemError) { if try !exists("check") { return true } } catch {
            warn("unable to stat \(name)/check", error.errno)
            return false
        }
        let program = Invocation("./check", arguments: ["./check"], environment: environment)
        let child: ProcessID
        do throws(SystemError) {
            guard case .parent(let pid) = try forkProcess() else {
                closeUnowned(Standard.output)
                do { try program.execute() } catch {
                    warn("unable to run \(name)/check", error.errno)
                    exitNow(0)
                }
            }
            child = pid
        } catch {
            warn("unable to fork for \(name)/check", error.errno)
            return false
        }
        do throws(SystemError) {
            guard case .ended(_, let status) = try reap(child, block: true) else { return false }
            return status.shellCode == 0
        } catch {
            warn("unable to wait for child \(name)/check", error.errno)
            return false
        }
    }
}
