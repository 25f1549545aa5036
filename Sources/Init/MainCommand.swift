import Bytes
import Commands
import Linux
import Supervision

/// The command a container was asked to run besides its services: the container lives as long as it
/// and ends with its status.
struct MainCommand {
    /// Its process, until it is reaped.
    private(set) var pid: ProcessID?
    /// How it ended, in the shell's terms, once it has.
    private(set) var exitCode: Int32?

    /// No command.
    init() {}

    /// Starts `invocation` in a process group of its own, in the foreground of the terminal if this
    /// process was, so that job control and Ctrl-C reach it and not the services.
    mutating func start(
        _ invocation: Invocation, by supervisor: Supervisor, _ messages: Messages
    ) {
        var setup = ChildSetup()
        setup.newProcessGroup = true
        setup.terminal = isForeground(Standard.input) ? Standard.input : -1
        do throws(SpawnError) {
            pid = try supervisor.start(invocation, setup)
        } catch {
            messages.report(error.cause.explained("unable to run \(invocation.program)"))
            exitCode = MainCommand.shellCode(error)
        }
    }

    /// Notes that `pid` was reaped; returns whether it was the command.
    mutating func reaped(_ pid: ProcessID, _ status: ExitStatus) -> Bool {
        guard pid == self.pid else { return false }
        self.pid = nil
        exitCode = status.shellCode
        return true
    }

    /// Passes a signal on, if the command is still there.
    func receive(_ signal: Signal, _ messages: Messages) {
        guard let pid else { return }
        do throws(SystemError) { try send(signal, to: pid) } catch {
            messages.warning(
                "unable to send signal \(signal.number) to process \(pid)", error.errno)
        }
    }

    /// What a shell would return: 127 for a command not found, 126 for one that cannot be run.
    private static func shellCode(_ error: SpawnError) -> Int32 {
        if error.isFork { return 111 }
        return error.cause.errno == .noEntry ? 127 : 126
    }
}
