import Bytes
import CCap
import Commands
import Linux

/// What changes how capabilities go with user ids, linux/securebits.h; each with a lock that keeps it
/// as it is.
struct Securebits: OptionSet {
    let rawValue: UInt32

    /// exec gives root no capabilities.
    static let noRoot = Securebits(rawValue: 1 << 0)
    private static let noRootLocked = Securebits(rawValue: 1 << 1)

    /// What `--noroot` stands for.
    static let noRootForGood: Securebits = [noRoot, noRootLocked]

    /// By their bits; `keep_caps` alone would not outlive the exec, and has no name here.
    private static let names = WordList(
        """
        noroot noroot_locked no_setuid_fixup no_setuid_fixup_locked - keep_caps_locked \
        no_cap_ambient_raise no_cap_ambient_raise_locked
        """)

    init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Names separated by commas; an unknown one fails with exit code 100.
    init(_ list: ByteString) throws(Failure) {
        self = []
        for name in list.parts(separatedBy: UInt8(ascii: ",")) {
            guard let bit = Securebits.names.index(of: name), name != "-" else {
                throw Failure("unknown securebit \(name)", exitCode: 100)
            }
            insert(Securebits(rawValue: 1 << UInt32(bit)))
        }
    }

    /// Those of this process. cap_get_secbits(3).
    static func current() throws(SystemError) -> Securebits {
        let bits = try Kernel.call("cap_get_secbits") { Int32(bitPattern: cap_get_secbits()) }
        return Securebits(rawValue: UInt32(bitPattern: bits))
    }

    /// Adds them to those of this process. cap_set_secbits(3).
    func add() throws(Failure) {
        do throws(SystemError) {
            let bits = try Securebits.current().union(self).rawValue
            _ = try Kernel.call("cap_set_secbits") { cap_set_secbits(bits) }
        } catch { throw error.explained("unable to set securebits") }
    }
}
