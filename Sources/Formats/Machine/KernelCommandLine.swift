import Bytes

/// The command line that the boot loader gave the kernel, as /proc/cmdline shows it. What the kernel does not know
/// it passes on to process 1 in three ways, by argument, environment, or not at all; here all words are found.
public struct KernelCommandLine: Equatable, Sendable {
    /// How far the machine is to come up.
    public enum Level: Equatable, Sendable {
        /// As far as it goes.
        case full
        /// A shell before the services: `single`, `s`, `S`, `1`, `apus.single`.
        case single
        /// A shell before anything else: `emergency`, `apus.emergency`.
        case emergency
    }

    /// What is to be checked: `fsck.mode=`.
    public enum CheckMode: Equatable, Sendable {
        /// What /etc/fstab says, as far as the file system asks for it.
        case auto
        /// The same, clean or not.
        case force
        /// Nothing.
        case skip
    }

    /// The words, in order: a name, and what follows its first `=`.
    public let words: [(name: ByteString, value: ByteString?)]

    /// The words of `text`. Quotes keep blanks together, and are dropped.
    public init(_ text: [UInt8]) {
        var words: [(name: ByteString, value: ByteString?)] = []
        var word: [UInt8] = []
        var isQuoted = false
        for byte in text + [UInt8(ascii: " ")] {
            switch byte {
            case UInt8(ascii: "\""): isQuoted.toggle()
            case UInt8(ascii: " ") where !isQuoted, UInt8(ascii: "\t") where !isQuoted,
                UInt8(ascii: "\n"):
                if !word.isEmpty { words.append(KernelCommandLine.word(word)) }
                word = []
            default: word.append(byte)
            }
        }
        self.words = words
    }

    private static func word(_ bytes: [UInt8]) -> (name: ByteString, value: ByteString?) {
        let text = ByteString(bytes)
        guard let (name, value) = text.cut(at: UInt8(ascii: "=")) else { return (text, nil) }
        return (name, value)
    }

    /// The value of the last word `name=`.
    public subscript(name: StaticString) -> ByteString? {
        words.last { $0.name.isSpelled(name) && $0.value != nil }?.value
    }

    /// The values of all words `name=`, in order.
    public func values(of name: StaticString) -> [ByteString] {
        words.compactMap { $0.name.isSpelled(name) ? $0.value : nil }
    }

    /// Whether `name` stands alone, or is set to something else than `0`, `no` or `off`.
    public func has(_ name: StaticString) -> Bool {
        guard let word = words.last(where: { $0.name.isSpelled(name) }) else { return false }
        switch word.value {
        case "0", "no", "off": return false
        default: return true
        }
    }

    /// How far to come up; the last word decides.
    public var level: Level {
        var level = Level.full
        for word in words where word.value == nil {
            switch word.name {
            case "single", "s", "S", "1", "apus.single", "rescue": level = .single
            case "emergency", "apus.emergency", "-b": level = .emergency
            case "2", "3", "4", "5": level = .full
            default: break
            }
        }
        return level
    }

    /// Whether the root file system is to stay read-only: the kernel's own rule, where the last of `ro` and `rw`
    /// holds, except that a root is made writable when neither is there.
    public var keepsRootReadOnly: Bool {
        let last = words.last { $0.value == nil && ($0.name == "ro" || $0.name == "rw") }
        return last?.name == "ro" && !has("apus.rw")
    }

    /// What is to be checked.
    public var checkMode: CheckMode {
        if has("fastboot") { return .skip }
        switch self["fsck.mode"] {
        case "skip": return .skip
        case "force": return .force
        default: return has("forcefsck") ? .force : .auto
        }
    }

    /// The machine's name, if it is one that a machine can have.
    public var hostName: ByteString? {
        for name in [self["hostname"], self["systemd.hostname"]] {
            if let name, HostName.isValid(name) { return name }
        }
        return nil
    }

    /// Equal when they have the same words.
    public static func == (left: KernelCommandLine, right: KernelCommandLine) -> Bool {
        left.words.elementsEqual(right.words) { $0.name == $1.name && $0.value == $1.value }
    }
}

/// What a machine can be called.
public enum HostName {
    /// Whether `name` is letters, digits, hyphens and dots, at most the 64 bytes that the kernel takes.
    public static func isValid(_ name: ByteString) -> Bool {
        guard (1...64).contains(name.count), name[0] != UInt8(ascii: "-"),
            name[0] != UInt8(ascii: ".")
        else { return false }
        return name.bytes.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
                true
            default: false
            }
        }
    }

    /// The first word of the first line that has one, as /etc/hostname is read.
    public static func inFile(_ text: [UInt8]) -> ByteString? {
        guard let word = ConfigurationLine.all(in: text).first?.words.first, isValid(word) else {
            return nil
        }
        return word
    }
}
