import Bytes
import Commands
import Linux
import Services

/// What only services have that ask for more than `run`.
final class ServiceExtras {
    /// What it tells through that it is ready.
    let notification = NotificationChannel()
    /// What is held for it across restarts.
    let held = HeldDescriptors()
    /// Its control group, if it is to be ended as a whole and has one.
    private(set) var group: ServiceGroup?
    private var hasTriedGroup = false

    /// Makes the control group of a service that is to be ended as a whole. Where that fails once it is not tried again.
    func prepareGroup(_ definition: ServiceDefinition, _ name: ByteString) {
        guard definition.stopReach == .everything, !hasTriedGroup else { return }
        hasTriedGroup = true
        do throws(SystemError) { group = try ServiceGroup(name) } catch {}
    }
}

extension ServiceExtras {
    /// The environment of a launch: what its process has to know of its supervisor.
    func environment(_ launch: Launch, _ base: Environment, _ name: ByteString) throws(Failure)
        -> Environment
    {
        var environment: Environment
        do throws(SystemError) { environment = try notification.environment(launch, base) } catch {
            throw error.explained("unable to listen for the readiness of \(name)")
        }
        for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] as [ByteString] {
            environment.unset(name)
        }
        guard launch.role == .run else { return environment }
        // What was asked for once and is not any more is closed.
        do throws(SystemError) { try held.open(launch.definition?.sockets ?? []) } catch {
            throw error.explained("unable to listen on \(error.subject) for \(name)")
        }
        held.removeUseless()
        let count = held.numbers.count
        if count > 0 {
            // The process puts its own id there.
            environment.set("LISTEN_PID", "0000000000")
            environment.set("LISTEN_FDS", "\(count)")
            environment.set("LISTEN_FDNAMES", held.names)
        }
        return environment
    }

    /// What the process of a launch is given besides input and output.
    func prepare(_ launch: Launch, _ name: ByteString, _ setup: inout ChildSetup)
        throws(Failure)
    {
        guard let definition = launch.definition else { return }
        prepareGroup(definition, name)
        setup.controlGroup = group?.entranceNumber ?? -1
        if launch.role == .run, !held.numbers.isEmpty {
            while setup.descriptors.count < HeldDescriptors.first { setup.descriptors.append(-1) }
            setup.descriptors += held.numbers
            setup.knowsItself = true
        }
        do throws(SystemError) { try notification.prepare(launch, &setup) } catch {
            throw error.explained("unable to make a pipe for the readiness of \(name)")
        }
    }
}
