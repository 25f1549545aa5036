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
    /// What is held of it; nil for nothing.
    func fact(_ id: ServiceID, withoutReader: Bool = false) -> HeldFact {
        .extras(
            id,
            HeldFact.ExtraNumbers(
                reader: withoutReader ? -1 : notification.pipeNumber ?? -1,
                socket: notification.socketNumber ?? -1, address: notification.address,
                sockets: held.socketFacts, stored: held.storedFacts))
    }

    /// Takes over what another image of this process held. What was being closed then may be missing.
    func adopt(_ numbers: HeldFact.ExtraNumbers, _ carried: CarriedDescriptors) {
        if let reader = carried.take(numbers.reader, where: { $0.isFIFO }) {
            notification.adopt(reader: reader)
        }
        if let socket = carried.take(numbers.socket, where: { $0.isSocket }) {
            notification.adopt(socket: socket, numbers.address)
        }
        for (number, definition) in numbers.sockets {
            if let socket = carried.take(number, where: { $0.isSocket }) {
                held.adopt(socket, definition)
            }
        }
        for (number, name, isPolled) in numbers.stored {
            if let descriptor = carried.take(number, where: { _ in true }) {
                held.adopt(stored: descriptor, name, isPolled: isPolled)
            }
        }
    }

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
        setup.controlGroup = group?.prepareEntrance() ?? -1
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
