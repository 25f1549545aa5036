import Bytes

/// What is mounted, as /proc/self/mountinfo shows it, proc(5).
public struct MountTable: Equatable, Sendable {
    /// One mount.
    public struct Mount: Equatable, Sendable {
        /// The kernel's number for it.
        public let id: Int
        /// Where it is mounted.
        public let target: ByteString
        /// The file system's type.
        public let type: ByteString
        /// The device.
        public let source: ByteString
        /// Whether nothing can be written through it.
        public let isReadOnly: Bool
        /// Whether nothing can be written to the file system.
        public let isFileSystemReadOnly: Bool
    }

    /// All mounts, those below others after them.
    public let mounts: [Mount]

    /// Reads the table. What is no mount is left out.
    public init(_ text: [UInt8]) {
        mounts = text.split(separator: UInt8(ascii: "\n")).compactMap { MountTable.mount(in: $0) }
    }

    private static func mount(in line: ArraySlice<UInt8>) -> Mount? {
        let words = ConfigurationLine.words(of: line)
        guard let dash = words.firstIndex(of: "-"), dash >= 6, words.count >= dash + 4,
            let id = parseDecimal(words[0], within: 0...Int(Int32.max))
        else { return nil }
        func isReadOnly(_ options: ByteString) -> Bool {
            options.parts(separatedBy: UInt8(ascii: ",")).contains("ro")
        }
        return Mount(
            id: id, target: unescapeOctal(words[4]), type: words[dash + 1],
            source: unescapeOctal(words[dash + 2]), isReadOnly: isReadOnly(words[5]),
            isFileSystemReadOnly: isReadOnly(words[dash + 3]))
    }

    /// What is mounted on `target` and can be seen: the last one.
    public subscript(target: ByteString) -> Mount? { mounts.last { $0.target == target } }

    /// The places below `directory` on which something is mounted, without those below another of them.
    public func places(below directory: ByteString) -> [ByteString] {
        var places: [ByteString] = []
        for mount in mounts where mount.target.hasPrefix("\(directory)/") {
            let place = mount.target
            if places.contains(where: { place == $0 || place.hasPrefix("\($0)/") }) { continue }
            places.removeAll { $0.hasPrefix("\(place)/") }
            places.append(place)
        }
        return places
    }

    /// The mounts in the order in which they can be taken down: what is mounted last goes first. What the kernel needs
    /// to the end, and has nothing to lose, stays: the root, and what is mounted at `kept`.
    public func takenDown(keeping kept: [ByteString]) -> [Mount] {
        mounts.reversed().filter { mount in mount.target != "/" && !kept.contains(mount.target) }
    }

    /// The file systems that could lose something: on a device, and not read-only.
    public var writable: [Mount] {
        mounts.filter { mount in
            !mount.isFileSystemReadOnly && mount.source.hasPrefix("/dev/")
                && mount.type != "devtmpfs"
        }
    }
}
