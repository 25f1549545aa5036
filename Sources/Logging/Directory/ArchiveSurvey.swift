import Bytes
import Formats
import Linux

/// What one look through a log directory finds of archived files, whose names begin with `@` and are at
/// least as long as a TAI64N label. However many there are, it takes the same memory.
struct ArchiveSurvey {
    /// At most how many of the oldest are named.
    static let nameLimit = 256

    /// How many there are.
    private(set) var count = 0
    /// The lowest names in byte order, which is their age, the lowest first.
    private(set) var oldest: [ByteString] = []
    /// The highest label after which there can be others, and the name of its file.
    private(set) var newest: (label: TAI64N, name: ByteString)?

    /// Finds nothing yet.
    init() {}

    /// Looks through `directory` for the names that `isArchived` says are those of archived files. Directories
    /// are none, whatever their names.
    init(
        of directory: Directory,
        where isArchived: (ByteString) -> Bool = ArchiveSurvey.isArchiveName
    ) throws(SystemError) {
        var survey = ArchiveSurvey()
        var unknown: [ByteString] = []
        try forEachEntry(of: ".", in: directory) { name, isDirectory in
            guard isArchived(name) else { return }
            switch isDirectory {
            case true: break
            case false: survey.add(name)
            case nil: unknown.append(name)
            }
        }
        for name in unknown {
            do throws(SystemError) {
                let found = try status(of: name, in: directory, followLinks: false)
                if !found.isDirectory { survey.add(name) }
            } catch { if error.errno != .noEntry { throw error } }
        }
        self = survey
    }

    static func isArchiveName(_ name: ByteString) -> Bool {
        name.count >= TAI64N.textCount && name[0] == UInt8(ascii: "@")
    }

    /// Takes note of an archived file.
    mutating func add(_ name: ByteString) {
        count += 1
        if let label = TAI64N(text: name.bytes.prefix(TAI64N.textCount)), label.next != nil {
            if newest.map({ $0.label < label }) ?? true { newest = (label, name) }
        }
        var (low, high) = (0, oldest.count)
        while low < high {
            let middle = (low + high) / 2
            if oldest[middle] < name { low = middle + 1 } else { high = middle }
        }
        if low == ArchiveSurvey.nameLimit { return }
        if oldest.count == ArchiveSurvey.nameLimit { oldest.removeLast() }
        oldest.insert(name, at: low)
    }

    /// The label for a file archived at `now`: at least a nanosecond after the newest one's, so that
    /// the order of names is the order of lines even after the clock was set back.
    func label(at now: TAI64N) -> TAI64N {
        guard let newest, newest.label >= now, let next = newest.label.next else { return now }
        return next
    }
}
