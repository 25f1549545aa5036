import Bytes
import CLinux
import Testing

@testable import Linux

@Suite("The socket for readiness and the like")
struct NotifySocketTests {
    /// A socket at a path of its own, which is removed afterwards.
    private func withSocket(_ body: (borrowing NotifySocket) throws -> Void) throws {
        let path: ByteString =
            "/tmp/apus-notify-\(CurrentProcess.id)-\(UInt64.random(in: 0 ... .max))"
        let socket = try NotifySocket(path)
        defer { do { try removeFile(path) } catch {} }
        try body(socket)
    }

    private func sender(to socket: borrowing NotifySocket) throws -> Descriptor {
        let sender = try makeUnixDatagramSocket()
        if socket.address.hasPrefix("/") {
            try connect(sender, toPath: socket.address)
            return sender
        }
        var raw = [UInt8](repeating: 0, count: 3) + socket.address.bytes.dropFirst()
        raw.withUnsafeMutableBytes { $0.storeBytes(of: UInt16(AF_UNIX), as: UInt16.self) }
        let number = sender.number
        _ = try Kernel.call("connect") {
            raw.withUnsafeBytes {
                systemConnect(
                    number, $0.assumingMemoryBound(to: sockaddr.self).baseAddress.unsafelyUnwrapped,
                    UInt32($0.count))
            }
        }
        return sender
    }

    /// sendmsg(2), with descriptors beside the bytes.
    private func send(
        _ text: String, _ descriptors: [Int32] = [], to socket: borrowing NotifySocket
    ) throws {
        let sender = try sender(to: socket)
        var bytes = Array(text.utf8)
        var control = [UInt64](repeating: 0, count: 2 + (descriptors.count + 1) / 2)
        control[0] = UInt64(16 + 4 * descriptors.count)
        control.withUnsafeMutableBytes {
            $0.storeBytes(of: SOL_SOCKET, toByteOffset: 8, as: Int32.self)
            $0.storeBytes(of: Int32(SCM_RIGHTS), toByteOffset: 12, as: Int32.self)
            for (index, one) in descriptors.enumerated() {
                $0.storeBytes(of: one, toByteOffset: 16 + 4 * index, as: Int32.self)
            }
        }
        let number = sender.number
        _ = try Kernel.call("sendmsg") {
            bytes.withUnsafeMutableBytes { bytes in
                control.withUnsafeMutableBytes { control in
                    var vector = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                    return withUnsafeMutablePointer(to: &vector) { vector in
                        var header = msghdr()
                        header.msg_iov = vector
                        header.msg_iovlen = 1
                        if !descriptors.isEmpty {
                            header.msg_control = control.baseAddress
                            header.msg_controllen = control.count
                        }
                        return sendmsg(number, &header, Int32(MSG_DONTWAIT))
                    }
                }
            }
        }
    }

    /// The next datagram, which is there.
    private func take(_ socket: borrowing NotifySocket) throws -> NotifyDatagram {
        guard let datagram = try socket.next() else { throw SystemError("recvmsg", .again) }
        return datagram
    }

    /// What can be compared of a datagram.
    private func seen(_ datagram: borrowing NotifyDatagram)
        -> (bytes: [UInt8], isComplete: Bool, sender: PeerCredentials?, count: Int)
    { (datagram.bytes, datagram.isComplete, datagram.sender, datagram.descriptors.count) }

    private func bytes(_ socket: borrowing NotifySocket) throws -> [UInt8] {
        try take(socket).bytes
    }

    private func isEmpty(_ socket: borrowing NotifySocket) throws -> Bool {
        if let _ = try socket.next() { return false }
        return true
    }

    private func isOpen(_ number: Int32) -> Bool { cl_fcntl(number, F_GETFD, 0) >= 0 }

    /// Whether all writers of the pipe are closed, or will be in time: other tests fork, and their children have all
    /// descriptors for a while.
    private func hasEnded(_ reader: borrowing Descriptor, milliseconds: Int32 = 10_000) throws
        -> Bool
    {
        var awaited = [Awaited(reader.number)]
        try poll(&awaited, milliseconds: milliseconds)
        return awaited[0].hasHungUp
    }

    @Test("A datagram comes with its sender, and there is nothing behind the last")
    func datagram() throws {
        try withSocket { socket in
            #expect(try isEmpty(socket))
            try send("READY=1\nSTATUS=a", to: socket)
            try send("", to: socket)
            let first = try take(socket)
            #expect(seen(first).bytes == Array("READY=1\nSTATUS=a".utf8))
            #expect(seen(first).isComplete)
            #expect(
                seen(first).sender
                    == PeerCredentials(
                        process: CurrentProcess.id, user: geteuid(), group: getegid()))
            #expect(seen(first).count == 0)
            #expect(try bytes(socket) == [])
            #expect(try isEmpty(socket))
        }
    }

    @Test("The socket is closed by an exec, does not wait, and everybody may send")
    func attributes() throws {
        try withSocket { socket in
            let number = socket.descriptor.number
            #expect(cl_fcntl(number, F_GETFD, 0) & FD_CLOEXEC != 0)
            #expect(cl_fcntl(number, F_GETFL, 0) & O_NONBLOCK != 0)
            let mode = try status(of: socket.address).mode
            #expect(mode & 0o777 == 0o666)
        }
    }

    @Test("An abstract name, chosen or not")
    func abstract() throws {
        let name: ByteString = "@apus/test/\(UInt64.random(in: 0 ... .max))"
        let chosen = try NotifySocket(name)
        #expect(chosen.address == name)
        let free = try NotifySocket("@")
        #expect(free.address.count == 6)
        try send("a", to: chosen)
        try send("b", to: free)
        #expect(try bytes(chosen) == Array("a".utf8))
        #expect(try bytes(free) == Array("b".utf8))
        #expect(throws: SystemError("bind", .addressInUse, subject: name)) {
            _ = try NotifySocket(name)
        }
        let long = ByteString([UInt8(ascii: "@")] + [UInt8](repeating: 0x61, count: 107))
        #expect(try NotifySocket(long).address == long)
        #expect(throws: SystemError.self) { _ = try NotifySocket("\(long)a") }
    }

    private func connects(to path: ByteString) throws -> Bool {
        do throws(SystemError) {
            try connect(makeUnixDatagramSocket(), toPath: path)
            return true
        } catch { return error.errno != .connectionRefused }
    }

    @Test("A file that was left behind is replaced, one in use and anything else is not")
    func leftBehind() throws {
        let path: ByteString = "/tmp/apus-notify-\(CurrentProcess.id)-left"
        defer { do { try removeFile(path) } catch {} }
        do { _ = try NotifySocket(path) }
        // Other tests fork, and their children have all descriptors for a while.
        let deadline = Instant.now.advanced(milliseconds: 10_000)
        while try connects(to: path), Instant.now < deadline {}
        let second = try NotifySocket(path)
        #expect(throws: SystemError("bind", .addressInUse, subject: path)) {
            _ = try NotifySocket(path)
        }
        try send("x", to: second)
        #expect(try bytes(second) == [0x78])
        try removeFile(path)
        try makeFIFO(path, permissions: 0o600)
        #expect(throws: SystemError("bind", .addressInUse, subject: path)) {
            _ = try NotifySocket(path)
        }
        #expect(throws: SystemError.self) { _ = try NotifySocket("/nowhere/notify") }
    }

    private func takeFirstOfThree(_ socket: borrowing NotifySocket) throws -> Descriptor {
        var datagram = try take(socket)
        #expect(seen(datagram).isComplete)
        #expect(seen(datagram).count == 3)
        guard let first = datagram.descriptors.takeFirst() else {
            throw SystemError("recvmsg", .badDescriptor)
        }
        #expect(seen(datagram).count == 2)
        return first
    }

    @Test(
        "Descriptors that are taken are the taker's, the others are closed, and none survives an exec"
    )
    func descriptors() throws {
        try withSocket { socket in
            let kept = try Pipe()
            let left = try Pipe()
            let ends = [kept.writer.number, left.writer.number, kept.writer.number]
            try send("FDSTORE=1", ends, to: socket)
            try kept.writer.close()
            try left.writer.close()
            let taken = try takeFirstOfThree(socket)
            #expect(cl_fcntl(taken.number, F_GETFD, 0) & FD_CLOEXEC != 0)
            #expect(try hasEnded(left.reader))
            #expect(try !hasEnded(kept.reader, milliseconds: 0))
            try writeAll(taken.number, [7])
            try taken.close()
            #expect(try hasEnded(kept.reader))
        }
    }

    @Test(
        "As many descriptors as the kernel passes at once come, again and again, and none is left")
    func many() throws {
        try withSocket { socket in
            let pipe = try Pipe()
            let number = pipe.writer.number
            for _ in 0..<100 {
                try send("garbage", Array(repeating: number, count: 253), to: socket)
                let datagram = try take(socket)
                #expect(seen(datagram).isComplete)
                #expect(seen(datagram).count == 253)
            }
            #expect(throws: SystemError("sendmsg", .invalid)) {
                try send("", Array(repeating: number, count: 254), to: socket)
            }
            try pipe.writer.close()
            #expect(try hasEnded(pipe.reader))
        }
    }

    @Test("Too many bytes are cut, and that is told")
    func long() throws {
        try withSocket { socket in
            let text = String(repeating: "x", count: NotifyDatagram.longest)
            try send(text, to: socket)
            let short = try take(socket)
            let isWhole = short.isComplete
            #expect(isWhole)
            let pipe = try Pipe()
            try send(text + "y", [pipe.writer.number], to: socket)
            try pipe.writer.close()
            let datagram = try take(socket)
            #expect(!seen(datagram).isComplete)
            #expect(seen(datagram).bytes == Array(text.utf8))
            _ = consume datagram
            #expect(try hasEnded(pipe.reader))
        }
    }

    @Test("Where this process has no room for descriptors, that is told, and nothing stays open")
    func noRoom() throws {
        try withSocket { socket in
            let pipe = try Pipe()
            try send("FDSTORE=1", Array(repeating: pipe.writer.number, count: 100), to: socket)
            switch try forkProcess() {
            case .child:
                // It fills its own table but for two places.
                var code: Int32 = 1
                do {
                    let limits = try Resource.openFiles.limits()
                    let soft = UInt64(max(socket.descriptor.number, 100) + 1)
                    try Resource.openFiles.setLimits(ResourceLimits(soft: soft, hard: limits.hard))
                    var last: Int32 = -1
                    while case let copy = dup(socket.descriptor.number), copy >= 0 { last = copy }
                    let places = [last, last - 1]
                    for place in places { _ = close(place) }
                    if let datagram = try socket.next() {
                        let isExpected = !datagram.isComplete && datagram.descriptors.count == 2
                        code = isExpected ? 0 : 2
                    }
                    if places.contains(where: { isOpen($0) }) { code = 3 }
                } catch { code = 4 }
                exitNow(code)
            case .parent(let pid):
                #expect(try reap(pid, block: true) == .ended(pid, Linux.ExitStatus(raw: 0)))
            }
            try pipe.writer.close()
            #expect(try hasEnded(pipe.reader))
        }
    }

    @Test("Other failures than having nothing are thrown")
    func failure() throws {
        try withSocket { socket in
            let seam = Seam()
            seam.fail("recvmsg", with: .noMemory)
            #expect(throws: SystemError("recvmsg", .noMemory)) {
                try seam.during { _ = try socket.next() }
            }
        }
    }

    // MARK: - Other people's senders

    /// What comes while `command` runs, and how it ended. The descriptor of a barrier is closed.
    private func received(
        from command: [ByteString], _ socket: borrowing NotifySocket
    ) throws -> (texts: [String], senders: [PeerCredentials], code: Int32?) {
        let environment = Environment(["PATH=/usr/bin:/bin", "NOTIFY_SOCKET=\(socket.address)"])
        let pid = try spawn(Invocation(command[0], arguments: command, environment: environment))
        var texts: [String] = []
        var senders: [PeerCredentials] = []
        let deadline = Instant.now.advanced(milliseconds: 10_000)
        while true {
            _ = try wait(
                for: socket.descriptor.number, until: Instant.now.advanced(milliseconds: 10))
            while let datagram = try socket.next() {
                texts.append(String(decoding: datagram.bytes, as: UTF8.self))
                if let sender = datagram.sender { senders.append(sender) }
            }
            if case .ended(_, let status) = try reap(pid) {
                return (texts, senders, status.exitCode)
            }
            if Instant.now > deadline {
                try Linux.send(.kill, to: pid)
                _ = try reap(pid, block: true)
                return (texts, senders, nil)
            }
        }
    }

    @Test("systemd-notify is understood, and its barrier lets it go")
    func systemdNotify() throws {
        try withSocket { socket in
            let result = try received(
                from: ["systemd-notify", "--ready", "--status=all is well"], socket)
            #expect(result.code == 0)
            #expect(result.texts.first == "READY=1\nSTATUS=all is well")
            #expect(result.texts.last == "BARRIER=1")
            // Sent on behalf of the process that called it, which a privileged sender may.
            if geteuid() == 0 { #expect(result.senders.first?.process == CurrentProcess.id) }
        }
        let free = try NotifySocket("@")
        let result = try received(from: ["systemd-notify", "--ready"], free)
        #expect(result.code == 0)
        #expect(result.texts == ["READY=1", "BARRIER=1"])
    }

    @Test(
        "Another user may send too, and is known by the kernel's word", .enabled(if: geteuid() == 0)
    )
    func otherUser() throws {
        try withSocket { socket in
            let drop =
                ["setpriv", "--reuid=12345", "--regid=54321", "--clear-groups"] as [ByteString]
            let result = try received(from: drop + ["systemd-notify", "--ready"], socket)
            #expect(result.code == 0)
            #expect(result.texts == ["READY=1", "BARRIER=1"])
            #expect(result.senders.map { $0.user } == [12345, 12345])
            #expect(result.senders.map { $0.group } == [54321, 54321])
        }
    }
}
