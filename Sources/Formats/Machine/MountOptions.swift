import Bytes

/// The options of a mount as fstab(5) and mount(8) write them: those that are flags of mount(2), those that only
/// concern whoever reads the table, and the rest, which goes to the file system.
public struct MountOptions: Equatable, Sendable {
    /// The kernel's bits, MS_*.
    public struct Flags: OptionSet, Sendable {
        /// The bits of mount(2).
        public let rawValue: UInt
        /// The given bits.
        public init(rawValue: UInt) { self.rawValue = rawValue }
        /// MS_RDONLY.
        public static let readOnly = Flags(rawValue: 1)
        /// MS_NOSUID.
        public static let noSetuid = Flags(rawValue: 2)
        /// MS_NODEV.
        public static let noDevices = Flags(rawValue: 4)
        /// MS_NOEXEC.
        public static let noExecution = Flags(rawValue: 8)
        /// MS_SYNCHRONOUS.
        public static let synchronous = Flags(rawValue: 16)
        /// MS_REMOUNT.
        public static let remount = Flags(rawValue: 32)
        /// MS_DIRSYNC.
        public static let synchronousDirectories = Flags(rawValue: 128)
        /// MS_NOATIME.
        public static let noAccessTime = Flags(rawValue: 1024)
        /// MS_NODIRATIME.
        public static let noDirectoryAccessTime = Flags(rawValue: 2048)
        /// MS_BIND.
        public static let bind = Flags(rawValue: 4096)
        /// MS_MOVE.
        public static let move = Flags(rawValue: 8192)
        /// MS_REC.
        public static let recursive = Flags(rawValue: 16384)
        /// MS_RELATIME.
        public static let relativeAccessTime = Flags(rawValue: 1 << 21)
        /// MS_STRICTATIME.
        public static let strictAccessTime = Flags(rawValue: 1 << 24)
        /// MS_LAZYTIME.
        public static let lazyTime = Flags(rawValue: 1 << 25)
    }

    /// The flags.
    public private(set) var flags: Flags = []
    /// What the file system is told, separated by commas.
    public private(set) var data = ByteString()
    /// Not at boot.
    public private(set) var isNoAuto = false
    /// Its absence or failure is no reason to stop.
    public private(set) var mayFail = false
    /// The priority of a swap area, if one is given.
    public private(set) var swapPriority: Int?

    /// Reads `a,b=c`.
    public init(_ text: ByteString) {
        var rest: [ByteString] = []
        for word in text.parts(separatedBy: UInt8(ascii: ",")) where !word.isEmpty {
            if let (flag, isOn) = MountOptions.flag(word) {
                if isOn { flags.formUnion(flag) } else { flags.subtract(flag) }
                continue
            }
            switch word {
            case "defaults", "auto", "async", "nouser", "user", "users", "owner", "group",
                "_netdev", "loud", "sw",
                "swap":
                break
            case "noauto": isNoAuto = true
            case "nofail": mayFail = true
            default:
                if word.hasPrefix("x-") || word.hasPrefix("comment=") { continue }
                if word.hasPrefix("pri=") {
                    swapPriority = parseDecimal(
                        ByteString(word.bytes.dropFirst(4)), within: 0...32767)
                } else {
                    rest.append(word)
                }
            }
        }
        data = ByteString(rest, joinedBy: ",")
    }

    private static func flag(_ word: ByteString) -> (Flags, isOn: Bool)? {
        switch word {
        case "ro": (.readOnly, true)
        case "rw": (.readOnly, false)
        case "nosuid": (.noSetuid, true)
        case "suid": (.noSetuid, false)
        case "nodev": (.noDevices, true)
        case "dev": (.noDevices, false)
        case "noexec": (.noExecution, true)
        case "exec": (.noExecution, false)
        case "sync": (.synchronous, true)
        case "dirsync": (.synchronousDirectories, true)
        case "noatime": (.noAccessTime, true)
        case "atime": (.noAccessTime, false)
        case "nodiratime": (.noDirectoryAccessTime, true)
        case "diratime": (.noDirectoryAccessTime, false)
        case "relatime": (.relativeAccessTime, true)
        case "norelatime": (.relativeAccessTime, false)
        case "strictatime": (.strictAccessTime, true)
        case "nostrictatime": (.strictAccessTime, false)
        case "lazytime": (.lazyTime, true)
        case "nolazytime": (.lazyTime, false)
        case "bind": (.bind, true)
        case "rbind": ([.bind, .recursive], true)
        case "remount": (.remount, true)
        default: nil
        }
    }
}
