import Bytes
import CCap
import Commands
import Linux

/// One capability, capabilities(7).
public struct Capability: Equatable, Sendable {
    /// The kernel's number, 0 to 63.
    public let number: Int32

    /// Wraps a number.
    public init(_ number: Int32) { self.number = number }

    /// `cap_net_raw`, `net_raw` and `CAP_NET_RAW` are the same; nil when libcap knows none of that
    /// name. cap_from_name(3).
    public init?(named name: ByteString) {
        var lower = name.bytes.map { (65...90).contains($0) ? $0 + 32 : $0 }
        if !lower.starts(with: "cap_".utf8) { lower.insert(contentsOf: "cap_".utf8, at: 0) }
        // libcap stops reading at blanks and takes numbers; a list here is of names.
        let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
        guard lower.allSatisfy({ letters.contains($0) || $0 == UInt8(ascii: "_") }) else {
            return nil
        }
        var number: cap_value_t = 0
        let found = ByteString(lower).withCString { cap_from_name($0, &number) }
        guard found == 0, (0..<64).contains(number) else { return nil }
        self.number = number
    }

    /// Its name, `cap_net_raw` say; the number where libcap knows no name. cap_to_name(3).
    public var name: ByteString {
        guard let text = cap_to_name(number) else { return "\(number)" }
        defer { cap_free(text) }
        return ByteString(cString: text)
    }

    /// CAP_SYS_ADMIN.
    static let systemAdministration = Capability(CAP_SYS_ADMIN)
    /// CAP_SETPCAP.
    static let changeSets = Capability(CAP_SETPCAP)
}

/// A set of capabilities; bit n is capability n, as in /proc/PID/status.
public struct CapabilitySet: OptionSet, Hashable, Sendable {
    /// The kernel's bits.
    public let rawValue: UInt64

    /// A set of the kernel's bits.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// A set of one.
    public init(_ capability: Capability) { rawValue = 1 << UInt64(capability.number) }

    /// A set of these, by their numbers in linux/capability.h.
    init(_ numbers: [Int32]) { rawValue = numbers.reduce(0) { $0 | 1 << UInt64($1) } }

    /// The shortest list that means it, as options take it.
    public var list: ByteString {
        let missing = CapabilitySet.known.subtracting(self)
        if missing.isEmpty { return "all" }
        if isEmpty { return "none" }
        let isShort = missing.rawValue.nonzeroBitCount < rawValue.nonzeroBitCount
        var words: [ByteString] = isShort ? ["all"] : []
        for capability in (isShort ? missing : self).members {
            let name = ByteString(capability.name.bytes.dropFirst(4))
            words.append(isShort ? "-\(name)" : name)
        }
        return ByteString(words, joinedBy: ",")
    }

    /// Every capability that this kernel knows. cap_max_bits(3).
    public static var known: CapabilitySet {
        let count = UInt64(clamping: cap_max_bits())
        return CapabilitySet(rawValue: count < 64 ? 1 << count - 1 : ~0)
    }

    /// Whether `capability` is in it.
    public func contains(_ capability: Capability) -> Bool {
        contains(CapabilitySet(capability))
    }

    /// Its members, lowest number first.
    public var members: [Capability] {
        (0..<64).filter { rawValue >> UInt64($0) & 1 == 1 }.map { Capability($0) }
    }

    /// Its members' names, separated by commas; `none` for the empty set.
    public var names: ByteString {
        isEmpty ? "none" : ByteString(members.map { $0.name }, joinedBy: ",")
    }
}

/// A set as users write it: words separated by commas. `NAME` and `+NAME` add a capability, `-NAME`
/// takes one away, `all` and `none` stand for every one and no one. When the first word has a sign,
/// the list changes the set that the process has; else it starts from nothing.
public struct CapabilityList: Equatable, Sendable {
    private var changesCurrent = false
    private var hasAll = false
    /// What the words after `all` and `none` add and take away.
    private var added: CapabilitySet = []
    private var removed: CapabilitySet = []

    /// Reads a list; an unknown name fails with exit code 100. The empty list is the empty set.
    public init(_ text: ByteString) throws(Failure) {
        if text.isEmpty { return }
        changesCurrent = text.hasPrefix("-") || text.hasPrefix("+")
        for word in text.parts(separatedBy: UInt8(ascii: ",")) { try take(word) }
    }

    private mutating func take(_ word: ByteString) throws(Failure) {
        let isRemoved = word.hasPrefix("-")
        let name = isRemoved || word.hasPrefix("+") ? ByteString(word.bytes.dropFirst()) : word
        if name == "all" || name == "none" && !isRemoved {
            hasAll = name == "all" && !isRemoved
            // Adding all leaves what there is beyond.
            if !hasAll { (changesCurrent, added) = (false, []) }
            removed = []
            return
        }
        guard let capability = Capability(named: name) else {
            throw Failure("unknown capability \(name)", exitCode: 100)
        }
        let one = CapabilitySet(capability)
        if isRemoved {
            removed.formUnion(one)
            added.subtract(one)
        } else {
            added.formUnion(one)
        }
    }

    /// The set it means for a process that has `current`, where `all` are those of `all`.
    public func applied(to current: CapabilitySet, all: CapabilitySet) -> CapabilitySet {
        (changesCurrent ? current : []).union(hasAll ? all : []).subtracting(removed).union(added)
    }
}
