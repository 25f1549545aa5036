import Bytes
import Commands
import Linux

/// The rules of `--landlock`: files, ports and processes that may still be reached. Each kind for which
/// there is a rule is restricted to its rules; the other kinds are not restricted.
struct LandlockRules: Sendable {
    /// What a rule allows, by the word before its `=`.
    private enum Word: NamedCase {
        case readOnly, readWrite, execute, bind, connect, scope, version

        var name: StaticString {
            switch self {
            case .readOnly: "ro"
            case .readWrite: "rw"
            case .execute: "exec"
            case .bind: "bind"
            case .connect: "connect"
            case .scope: "scope"
            case .version: "abi"
            }
        }
    }

    /// What stays within the process and its descendants.
    private enum Scope: NamedCase {
        case abstractSockets, signals

        var name: StaticString {
            switch self {
            case .abstractSockets: "abstract"
            case .signals: "signal"
            }
        }

        var bit: UInt64 {
            switch self {
            case .abstractSockets: LandlockScope.abstractUnixSocket
            case .signals: LandlockScope.signal
            }
        }
    }

    /// The version of the interface that restricts every access to files: of 1 to 4, rules would
    /// leave truncation or devices' controls open.
    private static let complete = 5
    /// The version that has all that is known here.
    private static let newest = 6
    private static let portsSince = 4
    private static let scopesSince = 6

    private static let read: LandlockFileAccess = [.readFile, .readDirectory]
    /// Changing, truncating, renaming, removing and making files, directories, links, sockets and
    /// FIFOs, and devices' controls; not making devices.
    private static let write: LandlockFileAccess = [
        .writeFile, .removeDirectory, .removeFile, .makeDirectory, .makeRegularFile, .makeSocket,
        .makeFIFO, .makeSymbolicLink, .refer, .truncate, .controlDevice,
    ]
    /// What is meant for a file that is no directory.
    private static let ofFiles: LandlockFileAccess = [
        .execute, .writeFile, .readFile, .truncate, .controlDevice,
    ]

    private var places: [(path: ByteString, rights: LandlockFileAccess)] = []
    private var ports: [(port: UInt16, right: LandlockPortAccess)] = []
    private var portRights: LandlockPortAccess = []
    private var scopeBits: UInt64 = 0
    /// `abi=`; nil where it is not given.
    private var version: Int?
    /// `abi=any`.
    private var takesLess = false

    /// No rule.
    init() {}

    /// Takes `WORD=VALUE`s separated by commas; a wrong one fails with exit code 100.
    mutating func take(_ text: ByteString) throws(Failure) {
        for rule in text.parts(separatedBy: UInt8(ascii: ",")) {
            guard let (name, value) = rule.cut(at: UInt8(ascii: "=")), !value.isEmpty,
                let word = Word(named: name), take(word, value)
            else { throw Failure("bad Landlock rule \(rule)", exitCode: 100) }
        }
    }

    private mutating func take(_ word: Word, _ value: ByteString) -> Bool {
        switch word {
        case .readOnly: places.append((value, LandlockRules.read))
        case .readWrite: places.append((value, LandlockRules.read.union(LandlockRules.write)))
        case .execute: places.append((value, LandlockRules.read.union(.execute)))
        case .bind: return takePort(value, .bind)
        case .connect: return takePort(value, .connect)
        case .scope:
            guard let scope = Scope(named: value) else { return false }
            scopeBits |= scope.bit
        case .version:
            takesLess = value == "any"
            if takesLess { return true }
            guard let number = parseDecimal(value, within: 1...LandlockRules.newest) else {
                return false
            }
            version = number
        }
        return true
    }

    private mutating func takePort(_ value: ByteString, _ right: LandlockPortAccess) -> Bool {
        portRights.formUnion(right)
        if value == "none" { return true }
        guard let port = parseDecimal(value, within: 0...65535) else { return false }
        ports.append((UInt16(port), right))
        return true
    }

    /// The accesses to deny, except where rules allow them, on a kernel that offers this version; nil for
    /// none. A version that is too low fails with exit code 111 unless `abi=` accepts it; `abi=` without
    /// any rule fails with exit code 100.
    func handled(offered: Int) throws(Failure) -> LandlockHandled? {
        if places.isEmpty && portRights.isEmpty && scopeBits == 0 {
            throw Failure("Landlock has no rule for files, ports or scopes", exitCode: 100)
        }
        var needed = version ?? 1
        if !places.isEmpty && version == nil { needed = LandlockRules.complete }
        if !portRights.isEmpty { needed = max(needed, LandlockRules.portsSince) }
        if scopeBits != 0 { needed = max(needed, LandlockRules.scopesSince) }
        if offered < needed && !takesLess {
            throw Failure("Landlock ABI \(needed) is needed, this kernel offers \(offered)")
        }
        var handled = LandlockHandled()
        if !places.isEmpty {
            handled.files = LandlockFileAccess(version: min(version ?? offered, offered))
        }
        if offered >= LandlockRules.portsSince { handled.ports = portRights }
        if offered >= LandlockRules.scopesSince { handled.scopes = scopeBits }
        return handled == LandlockHandled() ? nil : handled
    }

    /// Opens the files that the rules name, as this process sees them now; nil if nothing is restricted.
    func ruleset() throws(Failure) -> LandlockRuleset? {
        let offered: Int
        let ruleset: LandlockRuleset
        do throws(SystemError) { offered = try LandlockRuleset.version() } catch {
            throw error.explained("unable to use Landlock")
        }
        guard let handled = try handled(offered: offered) else { return nil }
        do throws(SystemError) { ruleset = try LandlockRuleset(handled) } catch {
            throw error.explained("unable to use Landlock")
        }
        for (path, rights) in places {
            do throws(SystemError) {
                let place = try openFile(path, .path)
                let isDirectory = try status(of: place.number).isDirectory
                var possible = rights.intersection(handled.files)
                if !isDirectory { possible.formIntersection(LandlockRules.ofFiles) }
                try ruleset.allow(possible, beneath: place)
            } catch { throw error.explained("unable to allow \(path) by Landlock") }
        }
        for (port, right) in ports where handled.ports.contains(right) {
            do throws(SystemError) { try ruleset.allow(right, port: port) } catch {
                throw error.explained("unable to allow port \(port) by Landlock")
            }
        }
        return ruleset
    }
}
