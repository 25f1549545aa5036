import Bytes

/// By what a volume can be called in /etc/fstab and `root=`, whatever its device: read from its first 64 KiB.
public struct VolumeIdentity: Equatable, Sendable {
    /// The label; empty when there is none.
    public let label: ByteString
    /// The UUID in lower case with hyphens.
    public let uuid: ByteString
    /// The type, as mount(2) calls it, or `swap`.
    public let type: ByteString

    /// How much of a volume is to be read.
    public static let size = 65536 + 4096

    /// Reads the beginning of a volume; nil when it is of no kind known here: ext2 to ext4, XFS, btrfs, swap.
    public init?(_ bytes: [UInt8]) {
        func holds(_ text: StaticString, at offset: Int) -> Bool {
            let text = ByteString(text)
            return bytes.count >= offset + text.count
                && bytes[offset..<(offset + text.count)].elementsEqual(text.bytes)
        }
        func make(_ type: ByteString, uuid: Int, label: Int, _ room: Int) -> (
            ByteString, ByteString, ByteString
        )? {
            guard bytes.count >= max(uuid + 16, label + room) else { return nil }
            return (
                ByteString(bytes[label..<(label + room)]),
                VolumeIdentity.text(ofUUID: bytes[uuid..<(uuid + 16)]), type
            )
        }
        let found: (ByteString, ByteString, ByteString)?
        if bytes.count > 0x43a, bytes[0x438] == 0x53, bytes[0x439] == 0xef {
            // Features of ext4 alone: extents, 64 bits and the like; then a journal, which ext3 has.
            let incompatible = bytes[0x460]
            let hasJournal = bytes[0x45c] & 4 != 0
            let type: ByteString = incompatible & 0xc0 != 0 ? "ext4" : hasJournal ? "ext3" : "ext2"
            found = make(type, uuid: 0x468, label: 0x478, 16)
        } else if holds("XFSB", at: 0) {
            found = make("xfs", uuid: 32, label: 108, 12)
        } else if holds("_BHRfS_M", at: 0x10040) {
            found = make("btrfs", uuid: 0x10020, label: 0x1012b, 256)
        } else if holds("SWAPSPACE2", at: 4086) {
            found = make("swap", uuid: 1036, label: 1052, 16)
        } else {
            found = nil
        }
        guard let found else { return nil }
        (label, uuid, type) = found
    }

    private static func text(ofUUID bytes: ArraySlice<UInt8>) -> ByteString {
        var text: [UInt8] = []
        for (index, byte) in bytes.enumerated() {
            if [4, 6, 8, 10].contains(index) { text.append(UInt8(ascii: "-")) }
            appendHexadecimal(byte, width: 2, to: &text)
        }
        return ByteString(text)
    }
}

/// How a volume is named: by its device, or by what is in it or in the table of partitions.
public enum VolumeName: Equatable, Sendable {
    /// A path.
    case device(ByteString)
    /// `UUID=…`, in lower case.
    case uuid(ByteString)
    /// `LABEL=…`.
    case label(ByteString)
    /// `PARTUUID=…`, in lower case.
    case partition(ByteString)
    /// `PARTLABEL=…`.
    case partitionLabel(ByteString)

    /// Reads the name; quotes around a value are dropped, as blkid(8) may have written them.
    public init(_ text: ByteString) {
        guard let (kind, quoted) = text.cut(at: UInt8(ascii: "=")) else {
            self = .device(text)
            return
        }
        let value = ByteString(quoted.bytes.filter { $0 != UInt8(ascii: "\"") })
        let lower = ByteString(
            value.bytes.map {
                (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0
            })
        switch kind {
        case "UUID": self = .uuid(lower)
        case "LABEL": self = .label(value)
        case "PARTUUID": self = .partition(lower)
        case "PARTLABEL": self = .partitionLabel(value)
        default: self = .device(text)
        }
    }
}
