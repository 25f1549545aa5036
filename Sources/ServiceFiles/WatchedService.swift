import Bytes
import Formats
import Linux
import Services

/// A service that is waited for: its directory, held open, and what its supervisor says of it.
public final class WatchedService {
    /// How people call it.
    public let name: ByteString
    private let supervise: SuperviseDirectory
    /// The other end of the supervisor's FIFO, which tells when there is no supervisor any more.
    private let ok: Descriptor

    /// The service in the directory `path`, whose state may be in one of `states`. Throws ENXIO when nobody supervises it, also where there is no `supervise`.
    public init(name: ByteString, path: ByteString, states: StatePlaces) throws(SystemError) {
        self.name = name
        let place = try openFile(path, .place)
        do throws(SystemError) {
            supervise = try SuperviseDirectory(of: Directory(place), or: states)
            let file = SuperviseDirectory.File.ok.name
            ok = try openFIFO(file, .write, in: Directory(supervise.place))
        } catch {
            if error.errno == .noEntry { throw SystemError(error.call, .noReader, subject: path) }
            throw error
        }
    }

    /// What its supervisor says of it now; nil when it has none any more. A status file that is none throws EPROTO.
    public func record() throws(SystemError) -> StatusRecord? {
        // Opening the FIFO again and closing it would wake all that watch the directory, this one too.
        var awaited = [self.awaited]
        try poll(&awaited, milliseconds: 0)
        if awaited[0].hasHungUp { return nil }
        let file = try supervise.openStatus()
        guard let record = try StatusRecord(readFrom: file) else {
            throw SystemError("read", .protocolError)
        }
        return record
    }

    fileprivate var awaited: Awaited { Awaited(ok.number, []) }

    /// The directory in which the status file is replaced, by a path that cannot lead elsewhere.
    fileprivate var watchedPath: ByteString { "/proc/self/fd/\(supervise.place.number)" }
}

/// How far a wait has come with one service.
public enum WaitVerdict: Equatable, Sendable {
    /// It is as it is to be.
    case reached
    /// Not yet.
    case pending
    /// It cannot become so any more, and why.
    case impossible(ByteString)
}

/// Waits for services, told by inotify(7) and by the supervisors' FIFOs; where there is no inotify, looking often.
public struct ServiceWait: ~Copyable {
    private let services: [WatchedService]
    private var watch: DirectoryWatch?
    private let interval: UInt64 = 50

    /// Waits for these, from now on.
    public init(_ services: [WatchedService]) {
        self.services = services
        do throws(SystemError) {
            let watch = try DirectoryWatch()
            for service in services { _ = try watch.add(service.watchedPath) }
            self.watch = consume watch
        } catch { watch = nil }
    }

    /// Waits until `judge` is satisfied with all of them, or with one, or sees no hope, or `deadline` has passed. Returns
    /// the last verdict of each. One that has been reached is not looked at again.
    public func verdicts(
        isAny: Bool, until deadline: Instant?,
        _ judge: (_ service: WatchedService, _ place: Int) throws(SystemError) -> WaitVerdict
    ) throws(SystemError) -> [WaitVerdict] {
        var verdicts = [WaitVerdict](repeating: .pending, count: services.count)
        while true {
            try drain()
            for index in verdicts.indices where verdicts[index] == .pending {
                verdicts[index] = try judge(services[index], index)
            }
            let hasReached = verdicts.contains(.reached)
            let isHopeless = verdicts.contains { $0 != .reached && $0 != .pending }
            if isAny ? hasReached : isHopeless { return verdicts }
            guard verdicts.contains(.pending), deadline.map({ Instant.now < $0 }) ?? true else {
                return verdicts
            }
            try sleep(until: deadline, verdicts)
        }
    }

    private func drain() throws(SystemError) {
        switch watch {
        case .some(let watch): try watch.drain { _ in }
        case .none: break
        }
    }

    private func sleep(until deadline: Instant?, _ verdicts: [WaitVerdict]) throws(SystemError) {
        var awaited: [Awaited] = []
        for index in verdicts.indices where verdicts[index] == .pending {
            awaited.append(services[index].awaited)
        }
        var milliseconds = deadline?.millisecondsLeft
        switch watch {
        case .some(let watch): awaited.append(Awaited(watch.descriptor.number))
        case .none: milliseconds = min(milliseconds ?? Int32(interval), Int32(interval))
        }
        try poll(&awaited, milliseconds: milliseconds)
    }
}
