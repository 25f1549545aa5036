import Bytes
import Commands
import Linux

/// The scan directory, and what is known of the names in it.
final class Scanner {
    /// How often to look where the kernel cannot tell of changes: the family's five seconds.
    static let interval: UInt64 = 5000

    /// The directory, held open.
    let place: Descriptor
    /// The services found, by what they are.
    var entries: [FileStatus.Identity: ScanEntry] = [:]
    /// When to look again, if nothing happens: nil when the kernel will tell.
    private(set) var due: Instant?
    /// Whether something was seen that may be different later without the kernel telling.
    var isPending = false
    private var watch: DirectoryWatch?
    /// Whether others may change the directory without the kernel noticing.
    private var isShared = false
    private var complaints: [Complaint] = []

    /// Something wrong with a name, reported when it was first seen and not again while it lasts.
    private struct Complaint {
        let name: ByteString
        let text: ByteString
        let errno: Errno?
        var isCurrent = true
    }

    /// Opens the directory and watches it, if the kernel can.
    init(_ path: ByteString, _ messages: Messages) throws(SystemError) {
        place = try openFile(path, .place)
        do throws(SystemError) {
            isShared = try Linux.isShared(place)
            let watch = try DirectoryWatch()
            _ = try watch.add(path)
            self.watch = consume watch
        } catch {
            messages.warning("unable to watch \(path), looking every 5 seconds", error.errno)
        }
    }

    /// What becomes readable when something in the directory changes.
    var watchNumber: Int32? {
        switch watch {
        case .some(let watch): watch.descriptor.number
        case .none: nil
        }
    }

    /// Whether it is time to look.
    func isDue(at now: Instant) -> Bool { due.map { $0 <= now } ?? false }

    /// The names in the directory. Changes that come after this are reported by the watch.
    func begin() throws(SystemError) -> [ByteString] {
        due = Instant.now.advanced(milliseconds: Scanner.interval)
        switch watch {
        case .some(let watch): _ = try watch.drain()
        case .none: break
        }
        let names = try Linux.entries(of: ".", in: Directory(place))
        for entry in entries.values { entry.isPresent = false }
        for index in complaints.indices { complaints[index].isCurrent = false }
        isPending = false
        return names
    }

    /// Forgets what is gone, and decides when to look again.
    func finish() {
        complaints.removeAll { !$0.isCurrent }
        var gone: [FileStatus.Identity] = []
        let now = Instant.now
        var next = now.advanced(milliseconds: Scanner.interval)
        for entry in entries.values {
            if !entry.isPresent {
                if entry.isIdle { gone.append(entry.identity) }
                if entry.isForsaken { entry.writer = nil }
            } else if !entry.isComplete {
                isPending = true
                if entry.restUntil > now { next = min(next, entry.restUntil) }
            }
        }
        for identity in gone { entries[identity] = nil }
        let isBlind = watchNumber == nil || isShared
        due = isPending || isBlind || !complaints.isEmpty ? next : nil
    }

    /// Notes that a service or logger of `entry` is supervised no more: for good, unless it is still
    /// in the directory after the interval. One that was removed and is there again has not to wait.
    func noteEnd(of entry: ScanEntry) {
        let isAnew = entry.isLogged && entry.writerNumber == nil
        let later = Instant.now.advanced(milliseconds: isAnew ? 0 : Scanner.interval)
        if entry.isPresent {
            entry.restUntil = later
            due = due.map { min($0, later) } ?? later
        } else if entry.isIdle {
            entries[entry.identity] = nil
        }
    }

    /// Looks no more.
    func end() { due = nil }

    /// Warns of something wrong with `name`, unless that was known.
    func complain(_ name: ByteString, _ failure: Failure, _ messages: Messages) {
        let known = complaints.firstIndex {
            $0.name == name && $0.text == failure.text && $0.errno == failure.errno
        }
        if let known {
            complaints[known].isCurrent = true
        } else {
            messages.warning(failure.text, failure.errno)
            complaints.append(Complaint(name: name, text: failure.text, errno: failure.errno))
        }
    }
}
