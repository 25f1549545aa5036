import Bytes
import Commands
import Foundation
import Linux

/// A directory of a test's own, removed with it.
final class Scratch {
    let path: ByteString

    init() throws {
        var template = Array("/tmp/apus-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw CocoaError(.fileWriteUnknown) }
        path = ByteString(cString: made)
    }

    deinit {
        let text = String(decoding: path.bytes, as: UTF8.self)
        do { try FileManager.default.removeItem(atPath: text) } catch {
            fatalError("cannot remove \(text)")
        }
    }

    /// The directory, for relative paths.
    func open() throws -> Descriptor { try openFile(path, .place) }

    func makeDirectory(_ name: ByteString, owner: UInt32 = 0) throws {
        try Linux.makeDirectory("\(path)/\(name)", permissions: 0o755)
        try own(name, owner)
    }

    func put(_ name: ByteString, _ text: String = "", owner: UInt32 = 0) throws {
        let file = try openFile("\(path)/\(name)", .truncate)
        try writeAll(file.number, Array(text.utf8))
        try own(name, owner)
    }

    func text(_ name: ByteString) throws -> String {
        String(decoding: try contents(of: "\(path)/\(name)", limit: 1000), as: UTF8.self)
    }

    func link(_ name: ByteString, to target: ByteString, owner: UInt32 = 0) throws {
        let result = target.withCString { target in
            ("\(path)/\(name)" as ByteString).withCString { symlink(target, $0) }
        }
        if result == -1 { throw CocoaError(.fileWriteUnknown) }
        try own(name, owner)
    }

    private func own(_ name: ByteString, _ owner: UInt32) throws {
        if owner == 0 { return }
        let result = ("\(path)/\(name)" as ByteString).withCString { lchown($0, owner, owner) }
        if result == -1 { throw CocoaError(.fileWriteNoPermission) }
    }
}
