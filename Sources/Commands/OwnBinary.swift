import Bytes
import Linux

/// The file that this process runs, and whether an exec would run it again.
///
/// All programs are one binary, and run files chain them: each changes something and execs the next.
/// Where the next one is this binary too, calling it does what the exec would, as long as the exec
/// would change nothing but the arguments and the environment. That is so because a program of the
/// chain leaves nothing behind that an exec clears: no descriptor with close-on-exec, no handler, no
/// alternate stack, no lock on memory, no timer. What the kernel would refuse or add is asked here:
/// permission, mount options and set-ID bits for the user of now, file capabilities, and the room
/// for arguments. Whether the exec would change credentials, the program before knows, and says so
/// by `Invocation.requireExec`.
public enum OwnBinary {
    /// Less than any kernel takes, whatever the limit on the stack: it grants 128 KiB to all.
    private static let argumentRoom = 96 << 10

    /// The path at which an exec would find this very binary, nil when it would find another file,
    /// fail, or do more than start over.
    public static func path(runBy invocation: Invocation) -> ByteString? {
        if invocation.mustExec || invocation.size > argumentRoom { return nil }
        guard let (path, file) = firstFile(invocation), file.isRegular,
            !file.changesIdentity, isRunning(file.identity),
            isExecutable(path), !givesCapabilities(path)
        else { return nil }
        return path
    }

    /// The first candidate that is there. An exec goes on after some other errors too; those are left
    /// to it.
    private static func firstFile(_ invocation: Invocation) -> (ByteString, FileStatus)? {
        let found = invocation.firstCandidate { path -> (ByteString, FileStatus)?? in
            do throws(SystemError) { return (path, try status(of: path)) } catch {
                return error.errno == .noEntry ? nil : .some(nil)
            }
        }
        return found ?? nil
    }

    /// Whether this process runs the file. The path that the kernel was given tells at little cost,
    /// if it is absolute and not a script's. What has been renamed over it since is taken for it, so a
    /// stage that waits must require its exec, and so must one that changes the root directory. /proc
    /// always knows, where there is one.
    private static func isRunning(_ file: FileStatus.Identity) -> Bool {
        file == startedAs || file == executable
    }

    private static let startedAs = identity(startPath)
    private static let executable = identity("/proc/self/exe")

    /// The path of execve(2), nil when it is relative.
    private static var startPath: ByteString? {
        guard let path = CurrentProcess.executedPath, path.hasPrefix("/") else { return nil }
        return path
    }

    private static func identity(_ path: ByteString?) -> FileStatus.Identity? {
        guard let path else { return nil }
        do throws(SystemError) { return try status(of: path).identity } catch { return nil }
    }

    private static func isExecutable(_ path: ByteString) -> Bool {
        do throws(SystemError) {
            try checkExecutable(path)
            return true
        } catch { return false }
    }

    /// Whether the binary, at `path`, gives capabilities, or might. Asked once.
    private static func givesCapabilities(_ path: ByteString) -> Bool {
        if let answer = capabilitiesAnswer { return answer }
        var answer = true
        do throws(SystemError) { answer = try hasCapabilities(path) } catch {}
        capabilitiesAnswer = answer
        return answer
    }

    /// A chain has one thread.
    private nonisolated(unsafe) static var capabilitiesAnswer: Bool?
}
