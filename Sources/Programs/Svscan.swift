import Bytes
import Commands
import Linux
import Services
import Supervision

/// svscan(8): supervises the services of a directory.
func svscan(_ call: Call) throws(Failure) -> Outcome {
    let directory = call.arguments.count > 1 ? call.arguments[1] : "."
    // What goes on looks after services whatever has become of the directory.
    if !Supervisor.isResumed {
        do throws(SystemError) { _ = try openFile(directory, .place) } catch {
            throw error.explained("unable to chdir to \(directory)")
        }
    }
    return try supervise(call, svscanStop, scanDirectory: directory)
}

/// A stop waits for services as long as daemontools' administrators are used to, but not for ever: after a minute
/// they are killed. Loggers then have five seconds to read what is left, and five more after SIGTERM.
let svscanStop = Conductor.Configuration(
    stopLimit: 70_000_000_000, stopReserve: 10_000_000_000, reachesOthers: false)

/// Supervises until there is nothing more to do. From a terminal svscan and supervise can be suspended, and be ended
/// by SIGQUIT without their services; other signals that nobody would send do no harm.
func supervise(
    _ call: Call, _ conductor: Conductor.Configuration, scanDirectory: ByteString?,
    as name: ByteString? = nil, asRunit: Bool = false, newSession: Bool = false,
    meaning: @escaping (Signal) -> [Event] = svscanEvents
) throws(Failure) -> Outcome {
    let left = SignalSet(.quit, .terminalStop, .terminalInput, .terminalOutput).union(.faults)
    var configuration = Supervisor.Configuration(
        conductor, environment: call.environment, meaning: meaning)
    configuration.newSession = newSession
    configuration.writesFilesOfRunit = asRunit
    // The supervisor of runsv or runsvdir is a copy of a process that had more to do.
    configuration.goesOn = !asRunit
    configuration.scanDirectory = scanDirectory
    configuration.signals = SignalSet.all.subtracting(left)
    let supervisor: Supervisor
    do throws(SystemError) {
        supervisor = try Supervisor.make(
            configuration, messages: name.map { Messages(program: $0) } ?? call.messages)
    } catch {
        throw error.explained("unable to begin: \(error.call)")
    }
    do throws(SystemError) { return .exit(try supervisor.run().exitCode) } catch {
        throw error.explained("unable to go on: \(error.call)")
    }
}

/// What signals mean to svscan and supervise.
func svscanEvents(of signal: Signal) -> [Event] {
    switch signal {
    case .terminate, .interrupt: [.stopAsked(.exit, signal: .terminate)]
    case .hangup: [.rescanAsked]
    default: []
    }
}
