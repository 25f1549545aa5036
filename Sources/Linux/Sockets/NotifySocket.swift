import Bytes
import CLinux

/// Where processes tell their supervisor how they are, by the protocol of sd_notify(3). Anybody may send anything:
/// taking a datagram is a bounded piece of work, and what the taker does not keep is closed. unix(7).
public struct NotifySocket: ~Copyable {
    /// Becomes readable when a datagram has come.
    public let descriptor: Descriptor
    /// What senders find in `$NOTIFY_SOCKET`: a path, or `@` and an abstract name.
    public let address: ByteString

    /// Listens at a path to which everybody may send, or at `@NAME`, in the abstract name space. A lone `@` is for a name
    /// that nobody has. A socket file that was left behind is replaced; who removes this one is the caller.
    public init(_ address: ByteString) throws(SystemError) {
        let socket = try makeUnixDatagramSocket()
        // Before there is an address, so that no datagram comes without.
        try set(.passCredentials, true, of: socket.number)
        var bound = address
        if address.bytes.first == UInt8(ascii: "@") {
            bound = try bindAbstract(socket, address)
        } else {
            try bindReplacingAbandoned(socket, toPath: address, isDatagram: true, .exactly(0o666))
        }
        descriptor = socket
        self.address = bound
    }

    /// One that another image of this process made.
    public init(adopting descriptor: consuming Descriptor, _ address: ByteString) {
        self.descriptor = descriptor
        self.address = address
    }

    /// Takes the next datagram; nil when there is none. recvmsg(2).
    public borrowing func next() throws(SystemError) -> NotifyDatagram? {
        try NotifyDatagram.next(from: descriptor.number)
    }
}

extension NotifyDatagram {
    /// Takes the next datagram, or packet, from a socket that does not wait; nil when there is none. One without bytes
    /// and descriptors is the end of a connection. recvmsg(2).
    public static func next(from number: Int32) throws(SystemError) -> NotifyDatagram? {
        try withUnsafeTemporaryAllocation(
            byteCount: NotifyDatagram.longest + ControlMessages.room, alignment: 8
        ) { (room) throws(SystemError) -> NotifyDatagram? in
            let content = UnsafeMutableRawBufferPointer(rebasing: room[..<NotifyDatagram.longest])
            let control = UnsafeMutableRawBufferPointer(rebasing: room[NotifyDatagram.longest...])
            var vector = iovec(iov_base: content.baseAddress, iov_len: content.count)
            var header = msghdr()
            let count: Int
            do throws(SystemError) {
                count = try Kernel.call("recvmsg") {
                    withUnsafeMutablePointer(to: &vector) { vector in
                        header = msghdr()
                        header.msg_iov = vector
                        header.msg_iovlen = 1
                        header.msg_control = control.baseAddress
                        header.msg_controllen = numericCast(control.count)
                        return recvmsg(number, &header, ControlMessages.closeOnExec)
                    }
                }
            } catch {
                if error.errno == .again { return nil }
                throw error
            }
            let length = min(Int(header.msg_controllen), control.count)
            let messages = ControlMessages(UnsafeRawBufferPointer(rebasing: control[..<length]))
            return NotifyDatagram(
                bytes: Array(content[..<min(count, content.count)]),
                isComplete: header.msg_flags & Int32(ControlMessages.truncated) == 0,
                sender: messages.sender, descriptors: messages.descriptors)
        }
    }
}

/// What was sent to a `NotifySocket`, by whom.
public struct NotifyDatagram: ~Copyable {
    /// The most bytes that are taken.
    public static let longest = 4096

    /// What was sent, up to `longest` bytes.
    public let bytes: [UInt8]
    /// Whether nothing is missing: bytes that were too many, or descriptors for which this process had no room.
    public let isComplete: Bool
    /// Who sent it, by the kernel's word: the process as this one's pid namespace numbers it, 0 if it is not in it. Only
    /// a privileged sender can name another. Nil if the kernel did not say.
    public let sender: PeerCredentials?
    /// The descriptors that came with it.
    public var descriptors: ReceivedDescriptors
}

/// Descriptors that somebody sent, in that order. Those that are not taken are closed with this.
public struct ReceivedDescriptors: ~Copyable {
    private var numbers: [Int32]

    init(owning numbers: [Int32]) { self.numbers = numbers }

    /// How many are there.
    public var count: Int { numbers.count }

    /// The first one, which is then the caller's; nil when there is none.
    public mutating func takeFirst() -> Descriptor? {
        numbers.isEmpty ? nil : Descriptor(owning: numbers.removeFirst())
    }

    deinit { for number in numbers { _ = close(number) } }
}

/// What came beside the bytes. cmsg(3), whose macros are these offsets on every machine of 64 bits: the length with
/// itself, level and type, then the content, filled up to 8 bytes.
struct ControlMessages {
    /// For the credentials and for as many descriptors as the kernel passes at once, 253.
    static let room = 32 + 16 + 1016
    // Enumerations in one libc and macros in the other: MSG_CMSG_CLOEXEC; MSG_TRUNC and MSG_CTRUNC.
    static let closeOnExec: Int32 = 0x4000_0000
    static let truncated = 0x20 | 0x8

    private(set) var sender: PeerCredentials?
    private var numbers: [Int32] = []

    /// Reads what the kernel wrote. Every descriptor in it is to be taken from here.
    init(_ control: UnsafeRawBufferPointer) {
        let headerSize = 16
        var rest = control[...]
        while rest.count >= headerSize {
            let header = UnsafeRawBufferPointer(rebasing: rest.prefix(headerSize))
            let length = Int(clamping: header.load(as: UInt64.self))
            guard (headerSize...rest.count).contains(length) else { return }
            take(
                level: header.load(fromByteOffset: 8, as: Int32.self),
                type: header.load(fromByteOffset: 12, as: Int32.self),
                UnsafeRawBufferPointer(rebasing: rest.prefix(length).dropFirst(headerSize)))
            rest = rest.dropFirst((length + 7) & ~7)
        }
    }

    private mutating func take(level: Int32, type: Int32, _ content: UnsafeRawBufferPointer) {
        guard level == SOL_SOCKET else { return }
        if type == Int32(SCM_RIGHTS) {
            for offset in stride(from: 0, through: content.count - 4, by: 4) {
                numbers.append(content.load(fromByteOffset: offset, as: Int32.self))
            }
        } else if type == Int32(SCM_CREDENTIALS), content.count >= 12 {
            sender = PeerCredentials(
                process: content.load(as: Int32.self),
                user: content.load(fromByteOffset: 4, as: UInt32.self),
                group: content.load(fromByteOffset: 8, as: UInt32.self))
        }
    }

    /// The descriptors that came, which are the caller's. To be asked once.
    var descriptors: ReceivedDescriptors { ReceivedDescriptors(owning: numbers) }
}

/// Binds to `@NAME`, or to a name that the kernel makes up if it is empty; returns the address with the name. unix(7).
private func bindAbstract(_ socket: borrowing Descriptor, _ address: ByteString) throws(SystemError)
    -> ByteString
{
    let number = socket.number
    let name = address.bytes.dropFirst()
    let room = MemoryLayout<sockaddr_un>.size
    return try withUnsafeTemporaryAllocation(byteCount: room, alignment: 8) {
        (raw) throws(SystemError) -> ByteString in
        // The family, a NUL, and the name without one.
        guard name.count <= room - 3 else { throw SystemError("bind", .invalid, subject: address) }
        raw.initializeMemory(as: UInt8.self, repeating: 0)
        raw.storeBytes(of: UInt16(AF_UNIX), as: UInt16.self)
        UnsafeMutableRawBufferPointer(rebasing: raw[3...]).copyBytes(from: name)
        let start = raw.assumingMemoryBound(to: sockaddr.self).baseAddress.unsafelyUnwrapped
        var length = UInt32(name.isEmpty ? 2 : 3 + name.count)
        _ = try Kernel.call("bind", address) { systemBind(number, start, length) }
        length = UInt32(room)
        _ = try Kernel.call("getsockname") { systemName(number, start, &length) }
        return "@\(ByteString(raw[3..<min(Int(length), room)]))"
    }
}
