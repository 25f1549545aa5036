import Bytes
import CLinux

/// A file in memory in which a process leaves what the next image of itself needs, when it is executed again after a
/// fault or by somebody's wish. It cannot grow or shrink, so that no access to it can fail; what was never written
/// takes no memory. Its layout is that of `cl_table` in CLinux.h: a head, and two areas of which one is in force.
/// memfd_create(2), mmap(2).
public final class CarriedTable {
    /// The variable by which the next image finds it.
    public static let variable: ByteString = "APUS_TABLE"
    /// What its layout and all that stands in it belongs to.
    public static let version: UInt32 = 1
    private static let magic: UInt64 = 0x656c_6261_7473_7061  // "apstable"
    /// 32 MiB, of which each area has nearly half.
    private static let size = 32 << 20

    private let file: Descriptor
    private let binary: Descriptor
    private let memory: UnsafeMutableRawPointer
    private let environment: CVector
    /// The descriptors that came from the image before, each of which is to be taken or closed.
    public private(set) var carried: [Int32] = []

    private var head: UnsafeMutablePointer<cl_table> {
        memory.assumingMemoryBound(to: cl_table.self)
    }

    /// A new and empty one, for an image of this binary. Throws where the kernel has no such files.
    public init() throws(SystemError) {
        let file = try makeMemoryFile("apus", canBeSealed: true)
        let number = file.number
        _ = try Kernel.call("ftruncate") { ftruncate(number, off_t(CarriedTable.size)) }
        // F_ADD_SEALS; F_SEAL_SEAL, F_SEAL_SHRINK and F_SEAL_GROW.
        _ = try Kernel.call("fcntl") { cl_fcntl(number, 1033, 7) }
        memory = try CarriedTable.map(number)
        binary = try CarriedTable.openBinary()
        environment = CarriedTable.environment(number, binary.number)
        self.file = file
        head.pointee.version = CarriedTable.version
        head.pointee.size = UInt64(CarriedTable.size)
        head.pointee.process = CurrentProcess.id
        cl_table_note_name(head)
        note(descriptor: self.file.number)
        note(descriptor: binary.number)
        head.pointee.magic = CarriedTable.magic
    }

    /// The one that the image before this one left; nil when there is none. What is in it may be damaged, or another
    /// version's: then it has no `content`, but there are `carried` descriptors.
    public init?(from variables: Environment) throws(SystemError) {
        guard let text = variables[CarriedTable.variable] else { return nil }
        let (first, length) = scanDecimal(text.bytes)
        let (second, rest) = scanDecimal(text.bytes.dropFirst(length + 1))
        guard length > 0, rest > 0, length + rest + 1 == text.count,
            (3...UInt64(Int32.max)).contains(UInt64(first)),
            (3...UInt64(Int32.max)).contains(UInt64(second)), first != second
        else { return nil }
        let number = Int32(first)
        // A program that only inherited the variable has no such file there: F_GET_SEALS.
        guard cl_fcntl(number, 1034, 0) == 7,
            try status(of: number).size == CarriedTable.size
        else { return nil }
        let memory = try CarriedTable.map(number)
        let head = memory.assumingMemoryBound(to: cl_table.self)
        guard head.pointee.process == CurrentProcess.id else {
            munmap(memory, CarriedTable.size)
            return nil
        }
        self.memory = memory
        file = Descriptor(owning: number)
        binary = Descriptor(owning: Int32(second))
        environment = CarriedTable.environment(number, Int32(second))
        cl_table_take_name(head)
        carried = findCarried()
        // A fault within a fault leaves marks of earlier ones, whose numbers this image may have given to others since.
        // The next fault must find them so again.
        carried.removeAll {
            cl_fcntl($0, F_GETFD, 0) != 0 || cl_fcntl($0, F_SETFD, FD_CLOEXEC) < 0
        }
        for number in [number, Int32(second)] {
            _ = try Kernel.call("fcntl") { cl_fcntl(number, F_SETFD, FD_CLOEXEC) }
        }
    }

    deinit { munmap(memory, CarriedTable.size) }

    private static func map(_ number: Int32) throws(SystemError) -> UnsafeMutableRawPointer {
        let address = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, number, 0)
        guard let address, address != UnsafeMutableRawPointer(bitPattern: -1) else {
            throw SystemError("mmap", Errno.last)
        }
        return address
    }

    /// The file that this process runs, also when another has its name by now.
    private static func openBinary() throws(SystemError) -> Descriptor {
        do throws(SystemError) { return try openFile("/proc/self/exe", .path) } catch {
            guard let path = CurrentProcess.executedPath else { throw error }
            return try openFile(path, .path)
        }
    }

    private static func environment(_ table: Int32, _ binary: Int32) -> CVector {
        var environment = Environment.inherited
        environment.set(variable, "\(table),\(binary)")
        return environment.vector
    }

    // MARK: - The fault

    /// From now on a fault executes the binary again, with the arguments and variables that this process was started
    /// with. sigaltstack(2), sigaction(2).
    public func arm() throws(SystemError) {
        guard let arguments = CurrentProcess.startArguments else {
            throw SystemError("sigaction", .invalid)
        }
        let (table, number, variables) = (head, binary.number, environment.pointer)
        _ = try Kernel.call("sigaction") { cl_carry_on(table, number, arguments, variables) }
        // A fault can come until the very end.
        _ = Unmanaged.passRetained(self)
        cl_unblock_faults()
    }

    /// Executes another binary in this way, which the next fault executes again; throws why that is not possible.
    public func carryOver(to other: borrowing Descriptor) throws(SystemError) {
        let number = binary.number
        let own = try binary.duplicate()
        try redirect(number, to: other.number, closeOnExec: true)
        do throws(SystemError) {
            _ = try Kernel.call("execve", retry: false) { cl_carry_over(number) }
        } catch {
            try redirect(number, to: own.number, closeOnExec: true)
            throw error
        }
    }

    /// The last fault.
    public struct Fault: Equatable, Sendable {
        /// Its signal; 0 for a wish.
        public let signal: Int32
        /// Whether it was the processor's, and not a signal of somebody else.
        public let isOwn: Bool
        /// What was accessed.
        public let address: UInt64
        /// What was executed.
        public let instruction: UInt64
        /// How many of the processor's there were since anything was completed, this one among them.
        public let stuck: UInt32
        /// How many of the processor's there were within a minute.
        public let recent: UInt32
    }

    /// The last fault of the image before.
    public var fault: Fault {
        Fault(
            signal: head.pointee.signal, isOwn: head.pointee.code > 0,
            address: head.pointee.address, instruction: head.pointee.instruction,
            stuck: head.pointee.stuck, recent: head.pointee.recent)
    }

    /// Notes a fault whose table was of no use.
    public func remember(_ fault: Fault) { head.pointee.stuck = fault.stuck }

    /// Notes that something has been completed since the last fault.
    public func noteProgress() {
        head.pointee.stuck = 0
        head.pointee.overcome = head.pointee.traps
    }

    // MARK: - Descriptors

    /// Notes a descriptor that the next image is to have.
    public func note(descriptor: Int32) {
        if descriptor > Int32(clamping: head.pointee.highest) {
            head.pointee.highest = UInt32(descriptor)
        }
    }

    private func findCarried() -> [Int32] {
        let bits = memory + Int(CL_TABLE_CARRIED)
        var numbers: [Int32] = []
        let end = min(Int(head.pointee.highest) + 64, Int(CL_TABLE_CARRIED_SIZE) * 8)
        for index in 0..<end
        where bits.load(fromByteOffset: index / 8, as: UInt8.self) >> (index % 8) & 1 == 1 {
            let number = Int32(index)
            if number != file.number && number != binary.number { numbers.append(number) }
        }
        return numbers
    }

    /// Notes the process of the main command, which is known also when all else is damaged.
    public func note(command pid: ProcessID) {
        head.pointee.command = pid
        head.pointee.not_command = ~pid
    }

    /// The process of the main command; 0 when there is none.
    public var command: ProcessID {
        head.pointee.not_command == ~head.pointee.command ? max(0, head.pointee.command) : 0
    }

    /// Notes the score for when memory runs out that children are to have.
    public func note(memoryScore score: Int32) {
        head.pointee.score = score
        head.pointee.not_score = ~score
    }

    /// That score; nil when there is none.
    public var memoryScore: Int32? {
        head.pointee.not_score == ~head.pointee.score ? head.pointee.score : nil
    }

    // MARK: - The areas

    private var areaSize: Int { (CarriedTable.size - Int(CL_TABLE_AREAS)) / 2 }
    private var current: Int { Int(head.pointee.area & 1) }

    private func commit(_ area: Int) -> UInt64 {
        area == 0 ? head.pointee.commits.0 : head.pointee.commits.1
    }

    private func base(_ area: Int) -> UnsafeMutableRawPointer {
        memory + Int(CL_TABLE_AREAS) + area * areaSize
    }

    /// The bytes in use of the area in force, and the check of what was written last.
    public var end: (used: Int, check: UInt32) {
        let word = commit(current)
        return (Int(word & 0xffff_ffff), UInt32(word >> 32))
    }

    /// What is in use of the area in force; nil when the table is not one of this version, or damaged as a whole.
    public var content: [UInt8]? {
        guard head.pointee.magic == CarriedTable.magic, head.pointee.size == CarriedTable.size,
            head.pointee.version == CarriedTable.version, head.pointee.area <= 1,
            end.used <= areaSize
        else { return nil }
        return Array(UnsafeRawBufferPointer(start: base(current), count: end.used))
    }

    /// Adds bytes to the area in force; they count from the moment when all are there. False when there is no room.
    public func append(_ parts: [UInt8], _ content: [UInt8], check: UInt32) -> Bool {
        append(parts, content, check: check, to: current)
    }

    private func append(_ parts: [UInt8], _ content: [UInt8], check: UInt32, to area: Int) -> Bool {
        let used = Int(commit(area) & 0xffff_ffff)
        let next = used + parts.count + content.count
        guard next <= areaSize else { return false }
        let place = base(area) + used
        place.copyMemory(from: parts, byteCount: parts.count)
        (place + parts.count).copyMemory(from: content, byteCount: content.count)
        cl_table_commit(head, Int32(area), UInt64(next) | UInt64(check) << 32)
        return true
    }

    /// Gives up what is in the area in force: it is not all that it should be.
    public func spoil() { cl_table_commit(head, Int32(current), 1) }

    /// Begins the other area, which `fill` appends to, and puts it in force if that returns true. The memory of the
    /// one before is given back.
    public func renew(_ fill: (_ append: ([UInt8], [UInt8], UInt32) -> Bool) -> Bool) {
        let (old, new) = (current, 1 - current)
        cl_table_commit(head, Int32(new), 0)
        guard fill({ append($0, $1, check: $2, to: new) }) else { return }
        head.pointee.start_mark = 0
        cl_table_select(head, UInt32(new))
        // madvise(2) MADV_REMOVE.
        madvise(base(old), areaSize, 9)
    }

    // MARK: - What the kernel writes by itself

    /// Notes that a child is about to be started; where the kernel is to write its id.
    public func expectStart() -> UnsafeMutablePointer<Int32> {
        head.pointee.started = 0
        head.pointee.start_mark = UInt32(truncatingIfNeeded: end.used)
        return cl_table_started(head)
    }

    /// The child that was started since anything was appended; 0 for none.
    public var startedProcess: ProcessID {
        head.pointee.start_mark == UInt32(truncatingIfNeeded: end.used) ? head.pointee.started : 0
    }
}

// What is read right into the table, so that it is not forgotten between the read and whatever comes of it.
extension CarriedTable {
    /// What was read from somewhere, and which reading it was.
    public struct Letters {
        /// Where.
        public let token: UInt64
        /// Which reading.
        public let serial: UInt32
        /// What.
        public let bytes: [UInt8]

        /// A reading.
        public init(token: UInt64, serial: UInt32, bytes: [UInt8]) {
            self.token = token
            self.serial = serial
            self.bytes = bytes
        }
    }

    /// Reads at most 64 bytes of what waits at a descriptor, as `read` does. No zero byte at the end is to be of meaning.
    public func readLetters(_ descriptor: Int32, token: UInt64) throws(SystemError) -> Letters {
        let room = UnsafeMutableRawBufferPointer(
            start: cl_table_letters(head), count: Int(CL_TABLE_INBOX_SIZE))
        room.initializeMemory(as: UInt8.self, repeating: 0)
        head.pointee.letters_token = token
        head.pointee.letters_serial &+= 1
        let count = try read(descriptor, into: room)
        return Letters(
            token: token, serial: head.pointee.letters_serial, bytes: Array(room.prefix(count)))
    }

    /// What was read last, up to the last byte that is not zero.
    public var letters: Letters {
        let room = UnsafeRawBufferPointer(
            start: cl_table_letters(head), count: Int(CL_TABLE_INBOX_SIZE))
        let count = room.lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0
        return Letters(
            token: head.pointee.letters_token, serial: head.pointee.letters_serial,
            bytes: Array(room.prefix(count)))
    }

    /// Takes the next pending signal; nil when there is none.
    public func readSignal(_ signals: borrowing SignalDescriptor) throws(SystemError) -> (
        Signal, serial: UInt32
    )? {
        let room = UnsafeMutableRawBufferPointer(start: cl_table_signals(head), count: 128)
        room.initializeMemory(as: UInt8.self, repeating: 0)
        head.pointee.signal_serial &+= 1
        do throws(SystemError) {
            guard try read(signals.descriptor.number, into: room) == room.count else { return nil }
        } catch {
            if error.errno == .again { return nil }
            throw error
        }
        return signal
    }

    /// The signal that was taken last; nil when there is none.
    public var signal: (Signal, serial: UInt32)? {
        let number = UnsafeRawPointer(cl_table_signals(head)).load(as: UInt32.self)
        return (1...64).contains(number)
            ? (Signal(Int32(number)), head.pointee.signal_serial) : nil
    }

    /// Forgets what was read: all of it has been dealt with.
    public func clear() {
        cl_table_letters(head).update(repeating: 0, count: Int(CL_TABLE_INBOX_SIZE))
        cl_table_signals(head).update(repeating: 0, count: 128)
    }
}
