import Bytes

/// What comes before what among the services of the scan directory, by their numbers. Made anew when a service or its
/// definition comes or goes.
struct ServiceOrder: Equatable {
    /// One that another waits for.
    struct Prerequisite: Equatable {
        /// nil where there is no such service.
        let id: ServiceID?
        let relation: DependencyGraph.Relation
    }

    /// Whether it has to be made anew.
    var isStale = false
    /// Whether any service may have become free to start.
    var mayRelease = false
    /// The services that have changed since it was last seen who is free: they and their followers may be.
    private(set) var changed: [ServiceID] = []
    /// The services that have begun to wait, which their status files may not tell yet.
    var unshown: [ServiceID] = []
    /// What has been said of it.
    var complaints: Set<ByteString> = []
    private(set) var graph: DependencyGraph?
    private(set) var ids: [ByteString: ServiceID] = [:]
    private(set) var prerequisites: [ServiceID: [Prerequisite]] = [:]
    /// Who waits for a service.
    private(set) var followers: [ServiceID: [ServiceID]] = [:]
    /// The bundles.
    private(set) var bundles: [ServiceID] = []

    init() {}

    /// One that has to be made anew in place of `former`.
    init(replacing former: ServiceOrder) {
        complaints = former.complaints
        unshown = former.unshown
        isStale = true
    }

    /// The order of these services, beside which there are others in the directory, and some that end because their
    /// names lead elsewhere. Those that ask for nothing but `run` need no definition.
    init(
        _ names: [(name: ByteString, id: ServiceID)], nameless: [ServiceID] = [],
        others: Set<ByteString>, _ definitions: [ServiceID: ServiceDefinition],
        replacing former: ServiceOrder
    ) {
        complaints = former.complaints
        unshown = former.unshown
        mayRelease = true
        let all = names.map { $0.id } + nameless
        guard all.contains(where: { definitions[$0]?.hasOrder == true }) else { return }
        bundles = all.filter { definitions[$0]?.kind == .bundle }
        // What is in the directory but not supervised at the moment is no unknown name.
        var parts: [ByteString: ServiceDefinition] = [:]
        for name in others { parts[name] = .plain }
        for (name, id) in names {
            ids[name] = id
            parts[name] = definitions[id] ?? .plain
        }
        let graph = DependencyGraph(parts)
        for (name, id) in names {
            let found = graph.prerequisites(of: name)
            if found.isEmpty { continue }
            prerequisites[id] = found.map { Prerequisite(id: ids[$0.name], relation: $0.relation) }
            for case .some(let first) in found.map({ ids[$0.name] }) {
                followers[first, default: []].append(id)
            }
        }
        // Nobody waits for those that end, but what they use may not end before.
        for id in nameless {
            guard let definition = definitions[id] else { continue }
            let consumers = definition.consumer.map { [$0] } ?? []
            for name in definition.needs + definition.wants + definition.after + consumers {
                for first in graph.services(named: name) {
                    if let first = ids[first] { followers[first, default: []].append(id) }
                }
            }
        }
        self.graph = graph
    }

    /// What follows from the services and their definitions is left out: it may still tell of some that are gone.
    static func == (left: ServiceOrder, right: ServiceOrder) -> Bool {
        left.isStale == right.isStale && left.mayRelease == right.mayRelease
            && left.changed == right.changed && left.unshown == right.unshown
            && left.complaints == right.complaints
    }

    /// Whether there is anything to look at.
    var isToBeLookedAt: Bool { isStale || mayRelease || !changed.isEmpty }

    mutating func noteChange(of id: ServiceID) { if !mayRelease { changed.append(id) } }

    /// Puts the look off: it is to be one at all.
    mutating func postpone() {
        mayRelease = true
        changed = []
    }

    mutating func ignoreChanges() {
        mayRelease = false
        changed = []
        unshown = []
    }

    /// The services that may have become free, of `all`, and that are looked at now.
    mutating func candidates(of all: Range<Int>) -> [ServiceID] {
        defer {
            mayRelease = false
            changed = []
        }
        if mayRelease { return all.map { ServiceID($0) } }
        return changed.flatMap { [$0] + (followers[$0] ?? []) }
    }

    /// A service and all that `next` leads to from it, each once.
    func closure(of first: ServiceID, _ next: (ServiceID) -> [ServiceID]) -> [ServiceID] {
        var list = [first]
        var seen: Set<ServiceID> = [first]
        var place = 0
        while place < list.count {
            for id in next(list[place]) where seen.insert(id).inserted { list.append(id) }
            place += 1
        }
        return list
    }

    /// Whether a service waits for another, or another for it.
    func concerns(_ id: ServiceID) -> Bool { prerequisites[id] != nil || followers[id] != nil }
}

extension ServiceDefinition {
    /// Whether it says anything about others.
    var hasOrder: Bool {
        kind == .bundle || isInPipeline || !needs.isEmpty || !wants.isEmpty || !after.isEmpty
            || !before.isEmpty
    }
}
