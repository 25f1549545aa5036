import Bytes
import Commands
import Linux
import Supervision

/// A container of s6-overlay's kind: what `init` does before it supervises one, and at its end.
struct Overlay {
    /// The environment of all that is started.
    let environment: Environment
    private let settings: OverlaySettings

    /// Sets up what is in the image, if there is any of that; nil if there is none, or it cannot be set up, which is
    /// said.
    init?(_ environment: Environment, alsoFrom services: ByteString, _ messages: Messages) {
        guard OverlayFiles.areThere else { return nil }
        settings = OverlaySettings(environment)
        var environment = environment
        environment.set("PATH", Overlay.path(environment["PATH"]))
        self.environment = environment
        // All of it stands already.
        if Supervisor.isResumed { return }
        if !settings.ignored.isEmpty {
            messages.warning("no effect: \(ByteString(settings.ignored, joinedBy: ", "))")
        }
        do throws(SystemError) {
            for path in [OverlayFiles.scanDirectory, OverlayFiles.state, OverlayFiles.results] {
                try OverlayFiles.remove(path)
                try OverlayFiles.make(path)
            }
            try OverlayFiles.write(environment)
            try Overlay.makeCommands()
            if let hook = settings.hook { run(hook, messages) }
            try OverlayTree(settings, messages).make()
            try Overlay.add(services)
        } catch {
            messages.warning(
                "unable to set up \(error.subject) for the services of s6-overlay", error.errno)
            return nil
        }
    }

    /// With what s6-overlay adds where it is missing.
    private static func path(_ path: ByteString?) -> ByteString {
        var path = path ?? ""
        let words = path.bytes.split(separator: UInt8(ascii: ":")).map { ByteString($0) }
        for word in WordList("/usr/bin /bin").words where !words.contains(word) {
            path = path.isEmpty ? word : "\(path):\(word)"
        }
        return words.contains("/command") ? path : "/command:\(path)"
    }

    /// By which programs of such images end the container.
    private static func makeCommands() throws(SystemError) {
        let directory: ByteString = "\(OverlayFiles.state)/basedir/bin"
        try OverlayFiles.make(directory)
        let binary = try readLink("/proc/self/exe")
        for name in WordList("halt poweroff reboot").words {
            try makeSymbolicLink("\(directory)/\(name)", to: binary)
        }
    }

    /// Takes in the services of the usual directory, too.
    private static func add(_ services: ByteString) throws(SystemError) {
        for name in OverlayFiles.names(in: services) {
            let path: ByteString = "\(OverlayFiles.scanDirectory)/\(name)"
            if try !exists(path) { try makeSymbolicLink(path, to: "\(services)/\(name)") }
        }
    }

    /// Runs what is to be run before the image is looked at.
    private func run(_ hook: ByteString, _ messages: Messages) {
        var setup = ChildSetup()
        setup.newSession = true
        do throws(SpawnError) {
            let pid = try spawn(
                Invocation(command: ["/bin/sh", "-c", hook], environment: environment), setup)
            do throws(SystemError) {
                if case .ended(_, let status) = try reap(pid, block: true), status.raw != 0 {
                    messages.warning("S6_STAGE2_HOOK failed")
                }
            } catch { messages.warning("unable to wait for S6_STAGE2_HOOK", error.errno) }
        } catch { messages.warning("unable to run S6_STAGE2_HOOK", error.cause.errno) }
    }

    /// For how many milliseconds the main command waits for services; nil for ever.
    var commandPatience: UInt64? { settings.commandPatience }

    /// How many milliseconds what is no service has at the stop; nil where nobody says.
    var killGrace: UInt64? { settings.killGrace }

    /// The container's exit code, where a `finish` wrote one, instead of `code`.
    func exitCode(or code: Int32) -> Int32 { OverlayFiles.exitCode ?? code }
}
