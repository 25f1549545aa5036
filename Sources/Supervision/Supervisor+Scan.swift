import Bytes
import Commands
import Linux

/// Finding services.
extension Supervisor {
    /// Supervises every service directory that `path` holds or links to, now and in future. The
    /// directory is held open, so that it may be renamed.
    public func scan(directory path: ByteString) throws(SystemError) {
        let scanner = try Scanner(path, messages)
        if let number = scanner.watchNumber { try loop.add(number, token: Token.watch) }
        self.scanner = scanner
        look()
    }

    /// Supervises a single service directory, without its `log`. The failure says what could not be
    /// set up, in the words of supervise(8).
    public func supervise(directory path: ByteString) throws(Failure) {
        let place: Descriptor
        do throws(SystemError) { place = try openFile(path, .place) } catch {
            throw error.explained("unable to chdir to \(path)")
        }
        _ = try add(place, name: path, role: .single, entry: nil)
    }

    /// Looks at the scan directory now. Services that were told to end but are still there are
    /// supervised again, without the wait that there is otherwise.
    public func rescan() {
        for entry in (scanner?.entries ?? [:]).values { entry.restUntil = Instant(nanoseconds: 0) }
        look()
    }

    func look() {
        guard let scanner, !isStopping else { return }
        let names: [ByteString]
        do throws(SystemError) { names = try scanner.begin() } catch {
            scanner.complain(".", error.explained("unable to read directory"), messages)
            return
        }
        for name in names where name[0] != UInt8(ascii: ".") {
            do throws(Failure) { try consider(name, scanner) } catch {
                scanner.complain(name, error, messages)
            }
        }
        scanner.finish()
    }

    private func consider(_ name: ByteString, _ scanner: Scanner) throws(Failure) {
        guard let identity = try directoryIdentity(name, scanner) else { return }
        if let entry = scanner.entries[identity] {
            entry.isPresent = true
            if entry.isComplete || Instant.now < entry.restUntil { return }
            try complete(entry, try open(name, scanner), scanner)
        } else {
            let place = try open(name, scanner)
            let entry = try makeEntry(name, place)
            scanner.entries[entry.identity] = entry
            try complete(entry, place, scanner)
        }
    }

    /// Which directory `name` is or links to; nil when it is none, which is no mistake.
    private func directoryIdentity(_ name: ByteString, _ scanner: Scanner) throws(Failure)
        -> FileStatus.Identity?
    {
        let directory = Directory(scanner.place)
        do throws(SystemError) {
            let status = try Linux.status(of: name, in: directory)
            if status.isDirectory { return status.identity }
            let own = try Linux.status(of: name, in: directory, followLinks: false)
            // What a link names may be replaced by a directory elsewhere, unseen.
            if own.identity != status.identity { scanner.isPending = true }
            return nil
        } catch {
            if isGone(name, scanner) { return nil }
            throw error.explained("unable to stat \(name)")
        }
    }

    private func isGone(_ name: ByteString, _ scanner: Scanner) -> Bool {
        do throws(SystemError) {
            _ = try Linux.status(of: name, in: Directory(scanner.place), followLinks: false)
            return false
        } catch { return error.errno == .noEntry }
    }

    private func open(_ name: ByteString, _ scanner: Scanner) throws(Failure) -> Descriptor {
        do throws(SystemError) {
            return try openFile(name, .place, in: Directory(scanner.place))
        } catch {
            throw error.explained("unable to switch to \(name)")
        }
    }

    private func makeEntry(_ name: ByteString, _ place: borrowing Descriptor) throws(Failure)
        -> ScanEntry
    {
        let isLogged: Bool
        let identity: FileStatus.Identity
        do throws(SystemError) {
            identity = try Linux.status(of: place.number).identity
            isLogged = try exists("log", in: Directory(place))
        } catch {
            throw error.explained("unable to stat \(name)/log")
        }
        return ScanEntry(name: name, identity: identity, isLogged: isLogged)
    }

    /// Supervises what of `entry` is not: the service, the logger. Trouble with one does not keep the
    /// other from being supervised.
    private func complete(
        _ entry: ScanEntry, _ place: consuming Descriptor, _ scanner: Scanner
    ) throws(Failure) {
        if entry.isLogged && entry.writerNumber == nil {
            // Removed and there again. Its logger is still reading what the former service wrote.
            if entry.logger != nil { return }
            do throws(SystemError) { try entry.makePipe() } catch {
                throw error.explained("unable to create pipe for \(entry.name)")
            }
        }
        if entry.isLogged && entry.logger == nil {
            let name: ByteString = "\(entry.name)/log"
            do throws(Failure) {
                let log = try openLog(name, place)
                entry.logger = try add(log, name: name, role: .logger, entry: entry)
            } catch {
                scanner.complain(name, error, messages)
            }
        }
        if entry.service == nil {
            entry.service = try add(place, name: entry.name, role: .main, entry: entry)
        }
    }

    private func openLog(_ name: ByteString, _ place: borrowing Descriptor) throws(Failure)
        -> Descriptor
    {
        do throws(SystemError) {
            return try openFile("log", .place, in: Directory(place))
        } catch {
            throw error.explained("unable to chdir to \(name)")
        }
    }
}
