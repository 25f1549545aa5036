import Bytes
import Commands
import Linux

/// What `--landlock` says: files, ports and processes that may still be reached. All else that the
/// kernel's Landlock knows of is denied.
struct LandlockRules: Sendable {
    /// What a rule allows, by the word before its `=`.
    private enum Word: Int {
        case readOnly, readWrite, execute, bind, connect, scope, version
    }

    private static let words = WordList("ro rw exec bind connect scope abi")
    private static let scopes = WordList("abstract signal")

    /// The version of the interface that restricts every access to files: of 1 to 4, rules would
    /// leave truncation or devices' controls open.
    private static let complete = 5
    /// The version that has all that is known here.
    private static let newest = 6
    private static let portsSince = 4
    private static let scopesSince = 6

    // LANDLOCK_ACCESS_FS_*, which headers have in part.
    private static let execute: UInt64 = 1 << 0
    private static let read: UInt64 = 1 << 2 | 1 << 3
    /// Changing, truncating, renaming, removing and making files, directories, links, sockets and
    /// FIFOs, and devices' controls; not making devices.
    private static let write: UInt64 =
        1 << 1 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 12 | 1 << 13 | 1 << 14
        | 1 << 15
    /// What is meant for a file that is no directory.
    private static let ofFiles: UInt64 = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15

    private var places: [(path: ByteString, rights: UInt64)] = []
    private var ports: [(port: UInt16, right: UInt64)] = []
    private var portRights: UInt64 = 0
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
                let index = LandlockRules.words.index(of: name), let word = Word(rawValue: index),
                take(word, value)
            else { throw Failure("bad Landlock rule \(rule)", exitCode: 100) }
        }
    }

    private mutating func take(_ word: Word, _ value: ByteString) -> Bool {
        switch word {
        case .readOnly: places.append((value, LandlockRules.read))
        case .readWrite: places.append((value, LandlockRules.read | LandlockRules.write))
        case .execute: places.append((value, LandlockRules.read | LandlockRules.execute))
        case .bind: return takePort(value, 1)
        case .connect: return takePort(value, 2)
        case .scope:
            guard let index = LandlockRules.scopes.index(of: value) else { return false }
            scopeBits |= 1 << UInt64(index)
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

    private mutating func takePort(_ value: ByteString, _ right: UInt64) -> Bool {
        portRights |= right
        if value == "none" { return true }
        guard let port = parseDecimal(value, within: 0...65535) else { return false }
        ports.append((UInt16(port), right))
        return true
    }

    /// What is to be denied but for the rules where the kernel offers that version; nil for nothing
    /// at all. An offer that is too low fails with exit code 111 unless `abi=` says that it will do.
    func handled(offered: Int) throws(Failure) -> LandlockHandled? {
        var needed = version ?? LandlockRules.complete
        if portRights != 0 { needed = max(needed, LandlockRules.portsSince) }
        if scopeBits != 0 { needed = max(needed, LandlockRules.scopesSince) }
        if offered < needed && !takesLess {
            throw Failure("Landlock ABI \(needed) is needed, this kernel offers \(offered)")
        }
        let files = min(version ?? LandlockRules.newest, offered)
        if files == 0 { return nil }
        var handled = LandlockHandled()
        handled.files =
            switch files {
            case 1: 1 << 13 - 1
            case 2: 1 << 14 - 1
            case 3, 4: 1 << 15 - 1
            default: 1 << 16 - 1
            }
        if offered >= LandlockRules.portsSince { handled.ports = portRights }
        if offered >= LandlockRules.scopesSince { handled.scopes = scopeBits }
        return handled
    }

    /// Opens what the rules name, as this process sees it now; nil when there is to be nothing.
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
                let possible = isDirectory ? ~0 : LandlockRules.ofFiles
                try ruleset.allow(rights & possible & handled.files, beneath: place)
            } catch { throw error.explained("unable to allow \(path) by Landlock") }
        }
        for (port, right) in ports where handled.ports & right != 0 {
            do throws(SystemError) { try ruleset.allow(right, port: port) } catch {
                throw error.explained("unable to allow port \(port) by Landlock")
            }
        }
        return ruleset
    }
}
