import Bytes
import Commands
import Linux
import Supervision

/// svscan(8): supervises the services of a directory.
func svscan(_ call: Call) throws(Failure) -> Outcome {
    let directory = call.arguments.count > 1 ? call.arguments[1] : "."
    let supervisor = try makeSupervisor(call)
    do throws(SystemError) { try supervisor.scan(directory: directory) } catch {
        throw error.explained("unable to chdir to \(directory)")
    }
    return try runUntilStopped(supervisor)
}

/// A supervisor for svscan and supervise. From a terminal they can be suspended, and be ended by
/// SIGQUIT without their services; other signals that nobody would send do no harm.
func makeSupervisor(_ call: Call) throws(Failure) -> Supervisor {
    let left = SignalSet(.quit, .terminalStop, .terminalInput, .terminalOutput).union(.faults)
    let configuration = Supervisor.Configuration(
        environment: call.environment, signals: SignalSet.all.subtracting(left))
    do throws(SystemError) {
        return try Supervisor(configuration, messages: call.messages)
    } catch {
        throw error.explained("unable to begin: \(error.call)")
    }
}

/// Supervises until told to stop.
func runUntilStopped(_ supervisor: Supervisor) throws(Failure) -> Outcome {
    do throws(SystemError) { try supervisor.runUntilStopped() } catch {
        throw error.explained("unable to go on: \(error.call)")
    }
    return .exit(0)
}
