import Bytes
import Formats
import Linux
import Services

/// What a service tells through that it is ready: the pipe behind its notification descriptor, or the socket of
/// sd_notify(3). The socket is an abstract one, which every user and a read-only system can reach; who may speak through
/// it is judged by the credentials that the kernel gives.
final class NotificationChannel {
    private var reader: Descriptor?
    private var writer: Descriptor?
    private var socket: NotifySocket?
    private var isPipeNew = false
    private var isSocketNew = false

    /// What a word may come through.
    enum Way { case pipe, socket }

    /// What has been opened since this was asked last, to wait on.
    var newNumbers: [(Int32, Way)] {
        var numbers: [(Int32, Way)] = []
        if isPipeNew, let pipeNumber { numbers.append((pipeNumber, .pipe)) }
        if isSocketNew, let socketNumber { numbers.append((socketNumber, .socket)) }
        isPipeNew = false
        isSocketNew = false
        return numbers
    }

    /// The reading end of the pipe, while the service has not said that it is ready; nil when there is none.
    var pipeNumber: Int32? {
        switch reader {
        case .some(let reader): reader.number
        case .none: nil
        }
    }

    /// The socket; nil when there is none.
    var socketNumber: Int32? {
        switch socket {
        case .some(let socket): socket.descriptor.number
        case .none: nil
        }
    }

    /// Takes over what another image of this process opened.
    func adopt(reader: consuming Descriptor) {
        self.reader = consume reader
        isPipeNew = true
    }

    /// Takes over what another image of this process opened.
    func adopt(socket: consuming Descriptor, _ address: ByteString) {
        self.socket = NotifySocket(adopting: consume socket, address)
        isSocketNew = true
    }

    /// The socket's address; empty when there is none.
    var address: ByteString {
        switch socket {
        case .some(let socket): socket.address
        case .none: ""
        }
    }

    /// The environment of a launch: with the socket's address and the watchdog's period if it has to know them.
    func environment(_ launch: Launch, _ base: Environment) throws(SystemError) -> Environment {
        var environment = base
        environment.unset("NOTIFY_SOCKET")
        environment.unset("WATCHDOG_PID")
        environment.unset("WATCHDOG_USEC")
        guard launch.role == .run else { return environment }
        guard let definition = launch.definition, usesSocket(definition) else {
            socket = nil
            return environment
        }
        if socketNumber == nil {
            socket = try NotifySocket("@")
            isSocketNew = true
        }
        switch socket {
        case .some(let socket): environment.set("NOTIFY_SOCKET", socket.address)
        case .none: break
        }
        if let watchdog = definition.watchdog {
            environment.set("WATCHDOG_USEC", "\(watchdog / 1000)")
        }
        return environment
    }

    private func usesSocket(_ definition: ServiceDefinition) -> Bool {
        definition.readiness == .notify || definition.watchdog != nil || definition.storeLimit > 0
    }

    /// Makes the pipe of a launch that tells by a descriptor.
    func prepare(_ launch: Launch, _ setup: inout ChildSetup) throws(SystemError) {
        closeReader()
        guard launch.role == .run, case .descriptor(let number) = launch.definition?.readiness,
            number >= 0
        else { return }
        let pipe = try Pipe()
        // The service may read from it too, and take what was there.
        try setNonBlocking(pipe.reader.number, true)
        setup.otherDescriptor = (source: pipe.writer.number, target: number)
        reader = consume pipe.reader
        isPipeNew = true
        writer = consume pipe.writer
    }

    /// Closes the end that the process has now.
    func closeWriter() { writer = nil }

    /// Closes the end that nothing will come through any more.
    func closeReader() { reader = nil }

    /// What has come through the pipe.
    enum Word {
        /// A whole line.
        case ready
        /// Nothing, or no whole line yet.
        case nothing
        /// Nothing any more.
        case end
    }

    /// Reads the pipe.
    func readPipe() -> Word {
        guard let number = pipeNumber else { return .end }
        return withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { buffer in
            do throws(SystemError) {
                let count = try read(number, into: buffer)
                return NotificationChannel.word(in: Array(buffer[..<count]))
            } catch { return error.errno == .again ? .nothing : .end }
        }
    }

    /// What was read from the pipe means.
    static func word(in bytes: [UInt8]) -> Word {
        if bytes.isEmpty { return .end }
        return bytes.contains(UInt8(ascii: "\n")) ? .ready : .nothing
    }

    /// The most datagrams that are taken at a time.
    private static let mostAtOnce = 64

    /// Takes what has come through the socket; calls `body` with each message and who sent it. What a message brought
    /// is closed after that, which is how a barrier is answered.
    func receive(_ body: (NotifyMessage, PeerCredentials, inout ReceivedDescriptors) -> Void) {
        switch socket {
        case .some(let socket):
            for _ in 0..<NotificationChannel.mostAtOnce {
                do throws(SystemError) {
                    guard var datagram = try socket.next() else { return }
                    if datagram.isComplete, let sender = datagram.sender,
                        let message = NotifyMessage(datagram.bytes)
                    {
                        body(message, sender, &datagram.descriptors)
                    }
                } catch { return }
            }
        case .none: break
        }
    }
}
