import Bytes
import Commands
import Formats
import Linux
import ServiceFiles
import Services

/// The services that need those which svc takes down.
struct SvcDependents {
    private let states: StatePlaces
    private var scans: [(definitions: ScanDefinitions, names: [ByteString])] = []

    /// Those of the services in these directories. A directory that cannot be read has none; what is wrong with it is
    /// told when it is sent commands.
    init(of directories: [ByteString], states: StatePlaces) {
        self.states = states
        for directory in directories {
            if addToKnown(directory) { continue }
            do throws(SystemError) {
                let (definitions, name) = try ScanDefinitions.around(directory)
                scans.append((definitions, definitions.graph.services(named: name)))
            } catch {
                // It has none.
            }
        }
    }

    /// Whether the directory is in a scan directory that has been read for another.
    private mutating func addToKnown(_ directory: ByteString) -> Bool {
        let name = directory.lastComponent
        let parent = ByteString(directory.bytes.dropLast(name.count))
        guard !name.isEmpty, let index = scans.firstIndex(where: { $0.definitions.path == parent })
        else { return false }
        scans[index].names += scans[index].definitions.graph.services(named: name)
        return true
    }

    /// The directories of those that are supervised, in groups, each of which is to be down before the next is told to
    /// go.
    var stopOrder: [[ByteString]] {
        scans.flatMap { scan in
            let graph = scan.definitions.graph
            return graph.stopOrder(of: graph.allDependents(on: scan.names)).map { group in
                group.map { directory($0, scan.definitions) }.filter { record($0) != nil }
            }
        }
    }

    /// Says which of them are up, and stay so.
    func report(_ messages: Messages) {
        for scan in scans {
            for name in scan.names {
                let running = scan.definitions.graph.dependents(on: name).filter {
                    !scan.names.contains($0)
                        && record(directory($0, scan.definitions))?.meets(.up) == true
                }
                if running.isEmpty { continue }
                messages.warning("\(name): still needed by \(ByteString(running, joinedBy: ", "))")
            }
        }
    }

    private func directory(_ name: ByteString, _ definitions: ScanDefinitions) -> ByteString {
        let path = definitions.path
        return path.bytes.last == UInt8(ascii: "/") ? "\(path)\(name)" : "\(path)/\(name)"
    }

    private func record(_ directory: ByteString) -> StatusRecord? {
        do throws(SystemError) {
            return try WatchedService(name: directory, path: directory, states: states).record()
        } catch { return nil }
    }
}
