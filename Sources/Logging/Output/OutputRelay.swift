import Bytes
import Commands
import Formats
import Linux

/// Passes lines of many services on to standard output and standard error, each whole and with its service's name. The
/// descriptors to read come one by one over a socket, so that it can begin before there is a service and go on when
/// there is another. It ends when the socket and all of them have ended.
public struct OutputRelay: ~Copyable {
    /// For how many milliseconds nothing has to be taken of what is left at the end.
    private static let farewell: UInt64 = 1000
    private static let blockSize = 64 * 1024
    /// Lines are handed on when there is so much of them.
    private static let stagingSize = 32 * 1024
    private static let controlToken = UInt64.max

    /// What one descriptor brings.
    private struct Source {
        /// Which pipe it is; nil for the only one.
        let identity: FileStatus.Identity?
        let isError: Bool
        let label: [UInt8]
        let form: ServiceLineForm
        var cutter = LineCutter()
    }

    private let control: Int32
    private var loop: EventLoop
    private var ready: [EventLoop.Event] = []
    private var descriptors: [Int32: Source] = [:]
    private let block: ByteBlock
    private var staging: [UInt8] = []
    private let outputForm: ServiceLineForm
    private let errorForm: ServiceLineForm
    private var output: OutputQueue
    private var error: OutputQueue
    private let isFile: Bool
    private var hasControlEnded: Bool

    /// Takes descriptors from the socket `control`, each with `1` or `2` for the output that it is for and the name of its
    /// service; or, with a name for it, reads `control` itself to its end. `control` stays the caller's.
    public init(
        _ control: Int32, name: ByteString?, isJSON: Bool, inColour: Bool, program: ByteString
    )
        throws(SystemError)
    {
        // Who reads is learnt from write(2); who ends this process does it by ending what it reads.
        for signal in [Signal.pipe, .terminate, .interrupt, .hangup] {
            if name == nil || signal == .pipe { try setDisposition(signal, ignored: true) }
        }
        let form = { (descriptor: Int32) -> ServiceLineForm in
            isJSON ? .json : .named(inColour: inColour && isTerminal(descriptor))
        }
        let forms = (form(Standard.output), form(Standard.error))
        let report = { (form: ServiceLineForm) in
            { (loss: StallQueue.Loss) -> [UInt8] in
                form.line(
                    "output does not keep up, dropped \(loss.lines) lines, \(loss.bytes) bytes",
                    of: program, at: LogEngine.currentTime())
            }
        }
        let output = try OutputQueue(Standard.output, report: report(forms.0))
        let error = try OutputQueue(Standard.error, report: report(forms.1))
        let block = try ByteBlock(count: OutputRelay.blockSize, orAtLeast: OutputRelay.blockSize)
        let loop = try EventLoop()
        var isFile = false
        do throws(SystemError) {
            let token = name == nil ? OutputRelay.controlToken : UInt64(control)
            try loop.add(control, token: token)
        } catch {
            // A file is always ready, and epoll does not take it.
            guard error.errno == .notPermitted, name != nil else { throw error }
            isFile = true
        }
        (outputForm, errorForm) = forms
        self.output = output
        self.error = error
        self.block = block
        self.loop = loop
        self.control = control
        self.isFile = isFile
        hasControlEnded = name != nil
        staging.reserveCapacity(OutputRelay.stagingSize * 2)
        if let name {
            let label = outputForm.label(name)
            descriptors[control] = Source(
                identity: nil, isError: false, label: label, form: outputForm)
        }
    }

    /// Passes lines on until there is nothing left to read, and what has been read is written.
    public mutating func run() throws(SystemError) {
        while isFile && !descriptors.isEmpty { try read(control) }
        while true {
            let isLeaving = hasControlEnded && descriptors.isEmpty
            if isLeaving && isDone { return }
            var awaited = [
                Awaited(isLeaving ? -1 : loop.number), output.awaited, error.awaited,
            ]
            var timeLeft = [output.pauseLeft, error.pauseLeft].compactMap { $0 }.min()
            if isLeaving { timeLeft = Int32(OutputRelay.farewell / 4) }
            try poll(&awaited, milliseconds: timeLeft)
            if awaited[1].isReady { output.writeSome() }
            if awaited[2].isReady { error.writeSome() }
            if awaited[0].isReady { try takeReady() }
        }
    }

    /// Whether all is written that can be.
    private var isDone: Bool {
        (output.isEmpty || output.hasWaited(OutputRelay.farewell))
            && (error.isEmpty || error.hasWaited(OutputRelay.farewell))
    }

    private mutating func takeReady() throws(SystemError) {
        try loop.wait(until: .now, &ready)
        for event in ready {
            if event.token == OutputRelay.controlToken {
                try takeDescriptor()
            } else {
                try read(Int32(truncatingIfNeeded: event.token))
            }
        }
        if hasControlEnded && descriptors.isEmpty {
            output.beginFarewell()
            error.beginFarewell()
        }
    }

    /// Takes one descriptor; the others are still there in the next turn.
    private mutating func takeDescriptor() throws(SystemError) {
        guard var message = try NotifyDatagram.next(from: control) else { return }
        guard let descriptor = message.descriptors.takeFirst() else {
            // A message that brought none found no room for it, and will not come again.
            if !message.bytes.isEmpty { return }
            hasControlEnded = true
            return try loop.remove(control)
        }
        // Who was executed again cannot know which it has sent.
        let identity = try status(of: descriptor.number).identity
        if descriptors.values.contains(where: { $0.identity == identity }) { return }
        let isError = message.bytes.first == UInt8(ascii: "2")
        let name = ByteString(message.bytes.dropFirst())
        try add(descriptor.release(), identity, isError: isError, name)
    }

    private mutating func add(
        _ descriptor: Int32, _ identity: FileStatus.Identity, isError: Bool, _ name: ByteString
    ) throws(SystemError) {
        try loop.add(descriptor, token: UInt64(descriptor))
        let form = isError ? errorForm : outputForm
        descriptors[descriptor] = Source(
            identity: identity, isError: isError, label: form.label(name), form: form)
    }

    /// Reads a block and hands on the lines in it.
    private mutating func read(_ descriptor: Int32) throws(SystemError) {
        guard var source = descriptors.removeValue(forKey: descriptor) else { return }
        var count = 0
        do throws(SystemError) { count = try Linux.read(descriptor, into: block.bytes) } catch {
            if error.errno == .again { return descriptors[descriptor] = source }
        }
        let time = source.form.time(LogEngine.currentTime())
        var rest = block[0..<count]
        while !rest.isEmpty {
            // Short pieces, so that lines do not become too much at once when labels are added.
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(OutputRelay.stagingSize / 8))
            rest = UnsafeRawBufferPointer(rebasing: rest[piece.count...])
            source.cutter.take(piece) { line in
                source.form.append(line, label: source.label, time: time, to: &staging)
            }
            if staging.count >= OutputRelay.stagingSize { handOn(isError: source.isError) }
        }
        if count == 0 {
            source.cutter.end { line in
                source.form.append(line, label: source.label, time: time, to: &staging)
            }
        }
        handOn(isError: source.isError)
        if count == 0 {
            // init has it, too, so closing it here would not take it out.
            do throws(SystemError) { try loop.remove(descriptor) } catch {}
            closeUnowned(descriptor)
        } else {
            descriptors[descriptor] = source
        }
    }

    private mutating func handOn(isError: Bool) {
        if isError { error.add(staging) } else { output.add(staging) }
        staging.removeAll(keepingCapacity: true)
    }
}
