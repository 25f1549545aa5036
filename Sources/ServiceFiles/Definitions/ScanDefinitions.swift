import Bytes
import Linux
import Services

/// What the services of a scan directory ask for, as their directories say now.
public struct ScanDefinitions {
    /// The scan directory.
    public let path: ByteString
    /// Who needs whom there.
    public let graph: DependencyGraph

    /// Reads those in the scan directory at `path`. What cannot be read asks for nothing; svcheck tells why.
    public init(in path: ByteString) throws(SystemError) {
        self.path = path
        let place = try openFile(path, .place)
        var definitions: [ByteString: ServiceDefinition] = [:]
        for name in try entries(of: ".", in: Directory(place)) where !name.hasPrefix(".") {
            do throws(SystemError) {
                let directory = try openFile(name, .place, in: Directory(place))
                definitions[name] = DefinitionReader(Directory(directory), name: name).definition
            } catch {
                // It is no directory, or it has just gone.
            }
        }
        graph = DependencyGraph(definitions)
    }
}

extension ScanDefinitions {
    /// Those in the scan directory that the service directory at `path` is in, and its name there.
    public static func around(_ path: ByteString) throws(SystemError) -> (
        definitions: ScanDefinitions, name: ByteString
    ) {
        let path = path.withoutTrailingSlashes
        let (parent, name) = try splitServicePath(path, try openFile(path, .place))
        return (try ScanDefinitions(in: parent), name)
    }
}

/// The directory that the service directory at `path`, open as `place`, is in, and its name there.
func splitServicePath(_ path: ByteString, _ place: borrowing Descriptor) throws(SystemError) -> (
    parent: ByteString, name: ByteString
) {
    let name = path.lastComponent
    if name == "." || name == ".." || name.isEmpty {
        // Its name is not in the path.
        let real = try readLink("/proc/self/fd/\(place.number)")
        let name = real.lastComponent
        return (ByteString(real.bytes.dropLast(name.count)), name)
    }
    let parent = ByteString(path.bytes.dropLast(name.count))
    return (parent.isEmpty ? "." : parent, name)
}

extension ByteString {
    /// A path as it stands before what is in the directory.
    var withoutTrailingSlashes: ByteString {
        var bytes = self.bytes
        while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
        return ByteString(bytes)
    }
}
