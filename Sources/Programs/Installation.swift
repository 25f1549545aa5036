import Bytes
import Commands
import Linux

/// What `apus --install` does: puts the binary into a directory as `apus`, with a link to it for each
/// program. All names are looked at before any is changed, and what is as it should be stays as it is.
struct Installation {
    private static let runningBinary: ByteString = "/proc/self/exe"
    /// Far more than the binary has.
    private static let sizeLimit = 64 << 20

    private let directory: ByteString
    private let replacesFiles: Bool
    private let messages: Messages
    private var binary: ByteString { "\(directory)/apus" }

    /// An installation in `directory`, which is made, with its parents, where it is missing. A name
    /// that something else has is reported to `messages`, and stops it unless `replacingFiles` is set.
    init(in directory: ByteString, replacingFiles: Bool, messages: Messages) {
        self.directory = directory
        replacesFiles = replacingFiles
        self.messages = messages
    }

    /// Installs, or changes nothing but missing directories and says why.
    func perform() throws(Failure) {
        let own = try identity(of: Installation.runningBinary)
        guard let own else {
            throw Failure("unable to find this binary: \(Installation.runningBinary) is missing")
        }
        try makeDirectories()
        let installed = try identity(of: binary)
        let needsBinary = try needsBinary(own, installed)
        var links: [ByteString] = []
        var taken = needsBinary == nil ? 1 : 0
        for index in Program.all.indices {
            let path: ByteString = "\(directory)/\(Program.all[index].name)"
            switch try occupant(of: path, own, installed) {
            case .link: continue
            case .nothing, .copy: break
            case .other:
                taken += 1
                if !replacesFiles { messages.warning("\(path) is something else") }
            }
            links.append(path)
        }
        if taken > 0 && !replacesFiles {
            if needsBinary == nil { messages.warning("\(binary) is something else") }
            throw Failure(
                "nothing installed in \(directory): names are taken; --force replaces them")
        }
        if needsBinary != false { try writeBinary() }
        for path in links { try writeLink(path) }
    }

    /// Who has the name of a program.
    private enum Occupant {
        case nothing
        /// A symbolic link that leads to apus.
        case link
        /// Apus itself, by a hard link.
        case copy
        case other
    }

    private func occupant(
        of path: ByteString, _ own: FileStatus.Identity, _ installed: FileStatus.Identity?
    ) throws(Failure) -> Occupant {
        guard let file = try status(path, followLinks: false) else { return .nothing }
        if try target(of: path, file) == "apus" { return .link }
        guard let identity = try identity(of: path), identity == own || identity == installed else {
            return .other
        }
        return file.isRegular ? .copy : .link
    }

    /// Whether the binary has to be written; nil when something that is no file has its name. Another
    /// file is an older version.
    private func needsBinary(
        _ own: FileStatus.Identity, _ installed: FileStatus.Identity?
    ) throws(Failure) -> Bool? {
        if installed == own { return false }
        guard let file = try status(binary, followLinks: false) else { return true }
        if !file.isRegular { return nil }
        return try content(of: binary) != content(of: Installation.runningBinary)
    }

    private func makeDirectories() throws(Failure) {
        var path: ByteString = directory.hasPrefix("/") ? "/" : ""
        for part in directory.parts(separatedBy: UInt8(ascii: "/")) where !part.isEmpty {
            path = path.isEmpty || path == "/" ? "\(path)\(part)" : "\(path)/\(part)"
            if try status(path, followLinks: true) != nil { continue }
            do throws(SystemError) { try makeDirectory(path, permissions: 0o755) } catch {
                throw error.explained("unable to create directory \(path)")
            }
        }
    }

    private func writeBinary() throws(Failure) {
        let content = try content(of: Installation.runningBinary)
        let temporary = try freeName()
        let file = try createFile(temporary)
        do throws(SystemError) { try setPermissions(file, 0o755) } catch {
            throw error.explained("unable to set permissions of \(temporary)")
        }
        try publish(file, content, temporary, as: binary)
    }

    private func writeLink(_ path: ByteString) throws(Failure) {
        let temporary = try freeName()
        do throws(SystemError) {
            try makeSymbolicLink(temporary, to: "apus")
            try rename(temporary, to: path)
        } catch { throw error.explained("unable to create \(path)") }
    }

    /// A name in the directory that nothing has: what an installation that was broken off left there
    /// goes.
    private func freeName() throws(Failure) -> ByteString {
        let path: ByteString = "\(directory)/.apus.new"
        do throws(SystemError) { try removeFile(path) } catch {
            if error.errno != .noEntry { throw error.explained("unable to remove \(path)") }
        }
        return path
    }

    private func status(_ path: ByteString, followLinks: Bool) throws(Failure) -> FileStatus? {
        do throws(SystemError) { return try Linux.status(of: path, followLinks: followLinks) } catch
        {
            if error.errno == .noEntry { return nil }
            throw error.explained("unable to look at \(path)")
        }
    }

    private func identity(of path: ByteString) throws(Failure) -> FileStatus.Identity? {
        try status(path, followLinks: true)?.identity
    }

    private func target(of path: ByteString, _ file: FileStatus) throws(Failure) -> ByteString? {
        if !file.isLink { return nil }
        do throws(SystemError) { return try readLink(path) } catch {
            throw error.explained("unable to read \(path)")
        }
    }

    private func content(of path: ByteString) throws(Failure) -> [UInt8] {
        do throws(SystemError) {
            return try contents(of: path, limit: Installation.sizeLimit)
        } catch { throw error.explained("unable to read \(path)") }
    }
}
