import Bytes
import Commands
import Linux
import ServiceFiles
import Services

/// The scan directory: what is in it, and word of changes. It is known by its path only, and opened anew each time,
/// so that it may be replaced, or appear later.
final class ScanDirectory {
    /// Its path.
    let path: ByteString
    private let messages: Messages
    private let states: StatePlaces
    private var watch: DirectoryWatch?
    private var ownWatch: Int32 = -1
    private var parentWatch: Int32 = -1
    /// The directory that it is in.
    private let parent: ByteString
    /// Its name in the directory it is in; nil when that has no meaning, as for `.`.
    private let ownName: ByteString?
    /// Names that came by a rename since the last listing.
    private var arrivals: Set<ByteString> = []
    /// The directories that the last listing had.
    private var known: Set<FileStatus.Identity> = []
    private var hasWarned = false
    /// By which svscanctl reaches this process, in the directory that is the scan directory now.
    private var control: ScanControl?
    private var controlled: FileStatus.Identity?
    private var isControlNew = false

    init(_ path: ByteString, _ states: StatePlaces, _ messages: Messages) {
        self.path = path
        self.states = states
        self.messages = messages
        (parent, ownName) = ScanDirectory.split(path)
        do throws(SystemError) { watch = try DirectoryWatch() } catch { warn(error) }
    }

    /// The directory that a path's last name is in, and that name; nil when the path ends in `.` or `..`.
    private static func split(_ path: ByteString) -> (parent: ByteString, name: ByteString?) {
        var bytes = path.bytes
        while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
        let trimmed = ByteString(bytes)
        let name = trimmed.lastComponent
        if name == "." || name == ".." || name.isEmpty { return (".", nil) }
        let parent = ByteString(bytes.dropLast(name.count))
        return (parent.isEmpty ? "." : parent, name)
    }

    /// What becomes readable when something may have changed; nil when nobody tells.
    var watchNumber: Int32? {
        switch watch {
        case .some(let watch): watch.descriptor.number
        case .none: nil
        }
    }

    /// The path of a name in it.
    func path(of name: ByteString) -> ByteString { "\(path)/\(name)" }

    /// Takes what the watch reports. Returns whether any of it is a reason to list the directory.
    func drain() -> Bool {
        var isChanged = false
        switch watch {
        case .some(let watch):
            do throws(SystemError) {
                try watch.drain { if note($0) { isChanged = true } }
            } catch { warn(error) }
        case .none: break
        }
        return isChanged
    }

    private func note(_ change: DirectoryWatch.Change) -> Bool {
        if change.watch == parentWatch { return change.name == ownName }
        if change.isArrival && arrivals.count < 4096 { arrivals.insert(change.name) }
        return change.watch == ownWatch || change.watch == -1
    }

    private func warn(_ error: SystemError) {
        if hasWarned { return }
        hasWarned = true
        messages.warning("unable to watch \(path), looking every 5 seconds", error.errno)
    }

    /// Reads the directory. Changes that come after this are reported by the watch.
    func list() throws(Failure) -> Listing {
        let start = Instant.ofProcessor
        let directory: Descriptor
        do throws(SystemError) { directory = try openFile(path, .directory) } catch {
            _ = addWatch()
            _ = drain()
            let isMissing = error.errno == .noEntry || error.errno == .notDirectory
            throw error.explained(
                isMissing ? "unable to supervise \(path)" : "unable to read directory")
        }
        do throws(SystemError) {
            let identity = try status(of: directory.number).identity
            makeControl(in: directory, identity)
            let isWatched = addWatch()
            _ = drain()
            var seen: Set<FileStatus.Identity> = []
            var list: [Listing.Entry] = []
            for name in try entries(of: ".", in: Directory(directory)) {
                if name[0] == UInt8(ascii: ".") { continue }
                guard let content = content(of: name, in: Directory(directory), &seen) else {
                    continue
                }
                list.append(Listing.Entry(name: name, content: content))
            }
            known = seen
            arrivals = []
            let mayHide = isShared(directory)
            return Listing(
                directory: FileID(identity), entries: list,
                cost: Instant.ofProcessor.nanoseconds - start.nanoseconds,
                isWatched: isWatched && !mayHide)
        } catch {
            throw error.explained("unable to read directory")
        }
    }

    /// Whether its changes may come unnoticed; so they may where that cannot be told.
    private func isShared(_ directory: borrowing Descriptor) -> Bool {
        do throws(SystemError) { return try Linux.isShared(directory) } catch { return true }
    }

    /// Makes what svscanctl writes to, once for each directory. Where that is not possible, signals still do.
    private func makeControl(in directory: borrowing Descriptor, _ identity: FileStatus.Identity) {
        if controlled == identity { return }
        controlled = identity
        control = nil
        do throws(SystemError) {
            control = try ScanControl(makingIn: Directory(directory), or: states)
            isControlNew = true
        } catch {
            if error.errno == .again {
                messages.warning("another svscan or init supervises \(path), too")
            } else if !error.errno.sendsStateElsewhere {
                messages.warning(
                    "unable to prepare \(path)/\(ScanControl.name) for svscanctl", error.errno)
            }
        }
    }

    /// Whether there is one that nobody waits on yet.
    var isControlUnwatched: Bool { isControlNew }

    /// What is held of that; nil for nothing.
    var fact: HeldFact? {
        guard let controlled else { return nil }
        switch control {
        case .some(let control):
            return .scanControl(
                lock: control.lockNumber, control: control.number, FileID(controlled))
        case .none: return nil
        }
    }

    /// Takes over what another image of this process held in that directory.
    func adopt(_ control: consuming ScanControl, in directory: FileID) {
        self.control = consume control
        controlled = FileStatus.Identity(device: directory.device, inode: directory.inode)
        isControlNew = true
    }

    /// The number to wait on for commands, if it is new since this was asked last.
    var newControlNumber: Int32? {
        guard isControlNew else { return nil }
        isControlNew = false
        switch control {
        case .some(let control): return control.number
        case .none: return nil
        }
    }

    /// The number that commands come by; nil when there is none.
    var controlNumber: Int32? {
        switch control {
        case .some(let control): control.number
        case .none: nil
        }
    }

    /// Takes the path of the binary that svscanctl names.
    func takeNameOfBinary() throws(SystemError) -> ByteString {
        let place = try openFile(path, .place)
        return try SuperviseDirectory(of: Directory(place), named: ScanControl.name, or: states)
            .takeNameOfBinary()
    }

    /// Watches the directory that has the path now, and the one that its name is in; whether that is possible.
    private func addWatch() -> Bool {
        switch watch {
        case .some(let watch):
            do throws(SystemError) {
                if ownName != nil { parentWatch = try move(watch, parentWatch, to: parent) }
                ownWatch = try move(watch, ownWatch, to: path)
                return true
            } catch {
                // What is not there cannot be watched; its absence is told elsewhere.
                let absences: [Errno] = [.noEntry, .notDirectory, .linkLoop]
                if !absences.contains(error.errno) { warn(error) }
                return false
            }
        case .none: return false
        }
    }

    /// Watches the directory that has a path now instead of the one that had it; returns the watch's number.
    private func move(_ watch: borrowing DirectoryWatch, _ old: Int32, to path: ByteString)
        throws(SystemError) -> Int32
    {
        let new = try watch.add(path)
        // Two paths may lead to one directory.
        if old >= 0 && new != old && [parentWatch, ownWatch].filter({ $0 == old }).count == 1 {
            // The kernel may have removed it with the directory.
            do throws(SystemError) { try watch.remove(old) } catch {}
        }
        return new
    }

    /// What a name names; nil for what is no service and will not become one by itself.
    private func content(
        of name: ByteString, in directory: Directory, _ seen: inout Set<FileStatus.Identity>
    ) -> Listing.Content? {
        do throws(SystemError) {
            let status = try Linux.status(of: name, in: directory)
            if status.isDirectory {
                seen.insert(status.identity)
                let isNew = !known.contains(status.identity)
                let isWhole = isNew && (arrivals.contains(name) || isLink(name, in: directory))
                return .directory(FileID(status.identity), isWhole: isWhole)
            }
            // What a link names may be replaced by a directory elsewhere, unseen.
            return isLink(name, in: directory) ? .undecided : nil
        } catch {
            if isGone(name, in: directory) { return nil }
            return .unknown(Complaint("unable to stat \(name)", error))
        }
    }

    private func isLink(_ name: ByteString, in directory: Directory) -> Bool {
        do throws(SystemError) {
            return try Linux.status(of: name, in: directory, followLinks: false).isLink
        } catch { return false }
    }

    private func isGone(_ name: ByteString, in directory: Directory) -> Bool {
        do throws(SystemError) {
            _ = try Linux.status(of: name, in: directory, followLinks: false)
            return false
        } catch { return error.errno == .noEntry }
    }
}

extension FileID {
    /// The kernel's device and inode.
    init(_ identity: FileStatus.Identity) {
        self.init(device: identity.device, inode: identity.inode)
    }
}
