/// What whoever goes on with a conductor that was restored has to begin anew.
extension Conductor {
    /// The actions that were performed and last on: probes, and waits for connections.
    public var lasting: [Action] {
        services.indices.flatMap { index -> [Action] in
            let id = ServiceID(index)
            guard let service = services[index] else { return [] }
            if service.connection == .awaited, service.machine.pid == 0 {
                return [.awaitConnection(id)]
            }
            return probe(id)
        }
    }

    /// What the directory of a service asks for; nil when it is nothing but `run`.
    public func knownDefinition(of id: ServiceID) -> ServiceDefinition? { definitions[id] }

    /// How many processes of services there are.
    public var processCount: Int { processes.count }
}
