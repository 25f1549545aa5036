import Bytes
import Commands
import Linux

/// How people name services: by their directory, or by their name in the scan directory.
public struct ServiceNames: Sendable {
    /// Where names are looked for: `$SVDIR`, or the first there is of `/service` and `/etc/service`.
    public let scanDirectory: ByteString

    /// Looks for the scan directory.
    public init(_ environment: Environment) {
        if let chosen = environment["SVDIR"], !chosen.isEmpty {
            scanDirectory = chosen
        } else {
            let usual: [ByteString] = ["/service", "/etc/service"]
            scanDirectory = usual.first { isDirectory($0) } ?? usual[0]
        }
    }

    /// The directory that `name` means: the one of that path if there is one; else, unless it can only be a path, the one
    /// in the scan directory if that is there.
    public func directory(of name: ByteString) -> ByteString {
        if ServiceNames.isPath(name) || isDirectory(name) { return name }
        let path: ByteString = "\(scanDirectory)/\(name)"
        return isDirectory(path) ? path : name
    }

    /// Whether it can only be a path: it begins with a dot or a slash or ends in a slash, as runit's sv has it.
    public static func isPath(_ name: ByteString) -> Bool {
        let slash = UInt8(ascii: "/")
        guard let first = name.bytes.first else { return true }
        return first == UInt8(ascii: ".") || first == slash || name.bytes.last == slash
    }
}

private func isDirectory(_ path: ByteString) -> Bool {
    do throws(SystemError) { return try status(of: path).isDirectory } catch { return false }
}
