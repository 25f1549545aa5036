import Bytes
import Formats

@testable import Services

/// A service directory in the simulated file system.
struct SimulatedDirectory {
    /// Tells it from one that had the same inode before.
    let serial: Int
    var hasRun: Bool
    var hasLog = false
    var isDown = false
    var isBroken = false
    /// Whether another supervisor has locked it.
    var isLocked = false
    /// Changes with everything in it.
    var signature: UInt64 = 0
    var lastChange: UInt64
    /// Whether it came by a rename or a link.
    var isWhole: Bool
    /// When the conductor was first told of it; nil before.
    var firstListed: UInt64?
    /// Whether the conductor had to take it as it was, all of the scan directory being new.
    var isTakenAsItIs = false
    /// Whether it was taken for complete.
    var isSettled = false
    /// When it was last supervised.
    var lastClosed: UInt64?
    /// When the conductor last learned whether it has a `log`.
    var lastExamined: UInt64 = 0
    /// The number of the next byte that its service writes, and of the next one that its logger has to read.
    var nextWritten = 0
    var nextRead = 0
    /// Bytes that nobody can read any more, and nobody need.
    var lost: [Range<Int>] = []
    /// What is in it besides `run`.
    var definition: ServiceDefinition?

    init(serial: Int, hasRun: Bool, isWhole: Bool, at now: UInt64) {
        self.serial = serial
        self.hasRun = hasRun
        self.isWhole = isWhole
        lastChange = now
    }
}

/// What a name in the scan directory leads to.
enum SimulatedEntry: Equatable {
    case directory(Int)
    case dangling
}

/// The scan directory, and the service directories by inode.
struct SimulatedFiles {
    static let names: [ByteString] = ["a", "b", "c", "d"]

    var directories: [SimulatedDirectory?] = []
    private var nextSerial = 0

    /// By the index of the name.
    var entries: [SimulatedEntry?] = [nil, nil, nil, nil]
    /// Which directory the scan directory is.
    var inode: UInt64 = 1
    var isThere = true
    var isWatched = true

    static func identity(_ inode: Int) -> FileID { FileID(device: 1, inode: UInt64(inode)) }
    var identity: FileID { FileID(device: 2, inode: inode) }

    static func index(of name: ByteString) -> Int { Int(name[0]) - 0x61 }

    /// Makes a directory, with the inode of one that is gone if there is one.
    mutating func make(hasRun: Bool, isWhole: Bool, _ isHeld: (Int) -> Bool, at now: UInt64) -> Int
    {
        nextSerial += 1
        let directory = SimulatedDirectory(
            serial: nextSerial, hasRun: hasRun, isWhole: isWhole, at: now)
        for inode in directories.indices
        where !entries.contains(.directory(inode)) && !isHeld(inode) {
            directories[inode] = directory
            return inode
        }
        directories.append(directory)
        return directories.count - 1
    }

    /// The directory that a name leads to, if the scan directory is there.
    func directory(at name: Int) -> Int? {
        if isThere, case .directory(let inode) = entries[name] { inode } else { nil }
    }

    /// The name of a directory, or of what was last at this name.
    func pick(_ name: Int) -> Int? {
        for offset in entries.indices {
            if case .directory(let inode) = entries[(name + offset) % entries.count] {
                return inode
            }
        }
        return nil
    }
}

extension World {
    /// Whether somebody has the directory open, so that its inode cannot be another's.
    func isHeld(_ inode: Int) -> Bool {
        services.contains { $0?.inode == inode }
            || pipes.contains { $0.inode == inode && $0.isOpen }
            // Nobody can tell one that comes and goes between two looks.
            || conductor.pairs.places.contains { $0?.identity.inode == UInt64(inode) }
    }

    func change(_ change: FileChange, name picked: Int, other: Int) throws {
        let name = picked % files.entries.count
        let target = files.pick(name)
        switch change {
        case .make where files.entries[name] == nil:
            try put(files.make(hasRun: other % 2 == 0, isWhole: false, isHeld, at: now), at: name)
        case .linkAgain:
            // A service that goes on without its name gets one.
            let open = services.compactMap { $0?.inode }.filter {
                files.directories.indices.contains($0)
            }
            if let inode = open.first(where: { !files.entries.contains(.directory($0)) }) {
                files.directories[inode]?.isWhole = true
                try put(inode, at: name)
            }
        case .link where files.entries[name] == nil: try put(newDirectory(other), at: name)
        case .make, .link, .replace:
            let entry = SimulatedEntry.directory(newDirectory(other))
            // A link whose own directory does not change.
            if other / 64 % 4 == 0 { files.entries[name] = entry } else { try set(entry, at: name) }
        case .fill: edit(target) { $0.hasRun = true }
        case .addLog: edit(target) { $0.hasLog = true }
        case .removeLog: edit(target) { $0.hasLog = false }
        case .addDown: edit(target) { $0.isDown = true }
        case .removeDown: edit(target) { $0.isDown = false }
        case .remove: try set(nil, at: name)
        case .rename:
            let entry = files.entries[name]
            if case .directory(let inode) = entry { files.directories[inode]?.isWhole = true }
            files.entries[name] = nil
            try set(entry, at: other % files.entries.count)
        case .alias:
            if let target { try put(target, at: other % files.entries.count) }
        case .dangle: try set(.dangling, at: name)
        case .breakEntry: if let target { files.directories[target]?.isBroken = true }
        case .mendEntry:
            for inode in files.directories.indices { files.directories[inode]?.isBroken = false }
        case .lock: if let target { files.directories[target]?.isLocked = true }
        case .unlock:
            for inode in files.directories.indices { files.directories[inode]?.isLocked = false }
        case .vanish: try changeScanDirectory { $0.isThere = false }
        case .appear: try changeScanDirectory { $0.isThere = true }
        case .replaceAll:
            try changeScanDirectory {
                $0.inode += 1
                $0.isThere = true
                if other % 2 == 0 { $0.entries = [nil, nil, nil, nil] }
            }
        case .define:
            let definition = definition(other)
            edit(target) { $0.definition = definition }
        case .watch: files.isWatched = true
        case .unwatch: files.isWatched = false
        }
    }

    /// A complete one, of any kind.
    private func newDirectory(_ kind: Int) -> Int {
        let inode = files.make(hasRun: kind % 8 != 0, isWhole: true, isHeld, at: now)
        files.directories[inode]?.definition = definition(kind)
        files.directories[inode]?.hasLog = kind / 8 % 2 == 0
        files.directories[inode]?.isDown = kind / 16 % 4 == 0
        return inode
    }

    private func definition(_ kind: Int) -> ServiceDefinition? {
        guard schedule.isDefined, kind % 3 > 0 else { return nil }
        var random = Random(seed: UInt64(kind))
        return ServiceDefinition(&random)
    }

    private func edit(_ inode: Int?, _ body: (inout SimulatedDirectory) -> Void) {
        guard let inode, var directory = files.directories[inode] else { return }
        body(&directory)
        directory.signature += 1
        directory.lastChange = now
        files.directories[inode] = directory
    }

    private func put(_ inode: Int, at name: Int) throws { try set(.directory(inode), at: name) }

    private func set(_ entry: SimulatedEntry?, at name: Int) throws {
        files.entries[name] = entry
        if files.isThere && isWatching { try happen(.directoryChanged) }
    }

    private func changeScanDirectory(_ body: (inout SimulatedFiles) -> Void) throws {
        body(&files)
        if isWatching { try happen(.directoryChanged) }
    }

    /// Whether the kernel tells of changes now, having been asked to at the last listing.
    private var isWatching: Bool { hasScanDirectory && wasWatched && files.isWatched }

    func list() -> Event {
        wasWatched = false
        if fails(.list) || !files.isThere {
            return .notListed(Complaint("unable to read directory", errno: files.isThere ? 5 : 2))
        }
        wasWatched = files.isWatched
        var entries: [Listing.Entry] = []
        for (name, entry) in files.entries.enumerated() {
            guard let entry else { continue }
            entries.append(
                Listing.Entry(name: SimulatedFiles.names[name], content: content(entry, name)))
        }
        return .listed(
            Listing(
                directory: files.identity, entries: entries, cost: listingCost,
                isWatched: files.isWatched))
    }

    private func content(_ entry: SimulatedEntry, _ name: Int) -> Listing.Content {
        guard case .directory(let inode) = entry else { return .undecided }
        let directory = files.directories[inode]
        if directory?.isBroken == true {
            return .unknown(Complaint("unable to stat \(SimulatedFiles.names[name])", errno: 5))
        }
        return .directory(SimulatedFiles.identity(inode), isWhole: directory?.isWhole == true)
    }

    func inspect(_ pair: PairID, _ name: ByteString, _ identity: FileID) -> Event {
        guard let directory = found(name, identity) else { return .notExamined(pair, nil) }
        if fails(.inspect) || directory.isBroken {
            return .notExamined(pair, Complaint("unable to read \(name)", errno: 5))
        }
        return .inspected(pair, signature: directory.signature, hasRun: directory.hasRun)
    }

    func examine(_ pair: PairID, _ name: ByteString, _ identity: FileID) throws -> Event {
        guard let directory = found(name, identity) else { return .notExamined(pair, nil) }
        try checkFirstLook(directory)
        files.directories[Int(identity.inode)]?.isSettled = true
        if fails(.examine) || directory.isBroken {
            return .notExamined(pair, Complaint("unable to stat \(name)/log", errno: 5))
        }
        files.directories[Int(identity.inode)]?.lastExamined = now
        let log = FileID(device: identity.device + 1, inode: identity.inode)
        return .examined(pair, log: directory.hasLog ? log : nil)
    }

    /// The directory under a name, if it is still the same one.
    func found(_ name: ByteString, _ identity: FileID) -> SimulatedDirectory? {
        guard files.directory(at: SimulatedFiles.index(of: name)) == Int(identity.inode) else {
            return nil
        }
        return files.directories[Int(identity.inode)]
    }
}
