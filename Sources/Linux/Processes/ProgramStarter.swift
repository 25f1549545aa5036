import Bytes
import CLinux

/// Starts a prepared program without waiting until it runs. Like a child of vfork(2), the new process
/// borrows our memory until it execs, but on a stack of its own, and we go on meanwhile: starting the
/// program costs this process neither a copy of its memory nor the time of the exec.
///
/// Nothing is written by both. The child has its slot, which is not touched until the kernel says that
/// the child is done with it, and no libc, whose errno would be ours. What else it reads, the vectors
/// of the program, never changes. With no slot left, or no memory for one, children are waited for.
public final class ProgramStarter {
    private let program: PreparedProgram
    private let limit: Int
    private let room: Int
    private var slots: [Slot] = []

    /// Starts `program`, at most `count` children at a time being on their way for less than a tenth of a second, each with `room` bytes for
    /// what is particular to it. Without edits of the environment nearly none are needed.
    public init(_ program: PreparedProgram, count: Int = 16, room: Int = 6144) {
        self.program = program
        self.room = room
        limit = count
        slots.reserveCapacity(count)
    }

    /// Starts the program as `PreparedProgram.start` does. The result may be `running` although the
    /// program cannot be run; then `failure` tells when the child has ended. With too many on their way,
    /// this one is waited for.
    public func start(edits: [UInt8], setup: ChildSetup, announcement: [UInt8])
        throws(SystemError) -> StartResult
    {
        guard let index = freeSlot(),
            slots[index].prepare(program, edits, setup, announcement)
        else { return try program.start(edits: edits, setup: setup, announcement: announcement) }
        slots[index].pid = try slots[index].start()
        return .running(slots[index].pid)
    }

    /// Starts the program with its own environment and never waits for a file system: nil when too many
    /// children are on their way. Descriptors and directory of `setup` may be changed as soon as this
    /// returns.
    /// With `other`, that program is started instead. The child's id is written to `place` before it runs, which is to
    /// stay.
    public func startWithoutWaiting(
        _ setup: ChildSetup, instead other: PreparedProgram? = nil,
        noting place: UnsafeMutablePointer<ProcessID>? = nil
    ) throws(SystemError) -> ProcessID? {
        guard let index = freeSlot(), slots[index].prepare(other ?? program, [], setup, []) else {
            return nil
        }
        slots[index].request.pointee.started = place
        slots[index].pid = try slots[index].start()
        return slots[index].pid
    }

    /// A slot is made when so many children are on their way for the first time. Those that a file system holds
    /// up do not count: what can be run is run meanwhile.
    private func freeSlot() -> Int? {
        if let index = slots.firstIndex(where: { $0.isFree }) { return index }
        let now = Instant.now
        let prompt = slots.filter { now < $0.started.advanced(milliseconds: 100) }
        guard prompt.count < limit, let slot = Slot(room: room) else { return nil }
        slots.append(slot)
        return slots.count - 1
    }

    /// Whether a child is on its way, and shares our memory.
    public var isBusy: Bool { slots.contains { $0.request.pointee.alive != 0 } }

    /// Why the child `pid`, which has ended, did not become the program; nil if it did. To be asked once of
    /// every child: until then a failed one keeps its slot.
    public func failure(of pid: ProcessID) -> Errno? {
        for slot in slots where slot.pid == pid && slot.request.pointee.failure != 0 {
            let failure = Errno(slot.request.pointee.failure)
            slot.request.pointee.failure = 0
            return failure
        }
        return nil
    }
}

/// What one child borrows: a block with its request, the text that this points to, and its stack.
private struct Slot {
    /// spawn.c needs less than 3 KiB, most of it for an announcement.
    private static let stackSize = 4096

    private let memory: UnsafeMutableRawPointer
    private let dataSize: Int
    let request: UnsafeMutablePointer<cl_spawn_request>
    var pid: ProcessID = 0
    /// The program that was last started: its vectors stay until the next is.
    private var program: PreparedProgram?
    /// When the child was started.
    private(set) var started = Instant.now

    /// The memory is never freed: the program that starts others does so for as long as it runs. Nil when
    /// there is none.
    init?(room: Int) {
        dataSize = MemoryLayout<cl_spawn_request>.stride + (room + 15) & ~15
        guard let memory = malloc(dataSize + Slot.stackSize) else { return nil }
        self.memory = memory
        request = memory.bindMemory(to: cl_spawn_request.self, capacity: 1)
        request.initialize(to: cl_spawn_request())
    }

    /// Starts the child that has been prepared. clone(2).
    mutating func start() throws(SystemError) -> ProcessID {
        started = Instant.now
        // No handler of ours may run in the child while it shares our memory, but one that ends it: a fault of this
        // process, if it was blocked, could not be handled.
        let blocked = try SignalSet.all.subtracting(.faults).block()
        let result = Result { () throws(SystemError) -> ProcessID in
            try Kernel.call("spawn", retry: false) {
                cl_spawn_beside(request, memory + (dataSize + Slot.stackSize) & ~15)
            }
        }
        try blocked.block()
        return try result.get()
    }

    /// Whether no child uses it, and none waits to be asked why it failed.
    var isFree: Bool { request.pointee.alive == 0 && request.pointee.failure == 0 }

    /// Lays out all that the child needs; false when there is more than fits.
    mutating func prepare(
        _ program: PreparedProgram, _ edits: [UInt8], _ setup: ChildSetup, _ announcement: [UInt8]
    ) -> Bool {
        let pointer = MemoryLayout<UnsafeMutablePointer<CChar>?>.stride
        let vectors = edits.isEmpty ? 0 : program.entries(for: edits.count) * pointer
        let texts = edits.count + announcement.count + setup.descriptors.count * 4
        var place = memory + MemoryLayout<cl_spawn_request>.stride
        guard place + vectors + texts <= memory + dataSize else { return false }
        self.program = program

        let environment = place.assumingMemoryBound(to: UnsafeMutablePointer<CChar>?.self)
        place += vectors
        let descriptors = copy(setup.descriptors, to: &place).assumingMemoryBound(to: Int32.self)
        let text = copy(announcement, to: &place).assumingMemoryBound(to: CChar.self)
        if !edits.isEmpty {
            program.layOut(
                UnsafeRawBufferPointer(start: copy(edits, to: &place), count: edits.count),
                to: environment)
        }

        request.pointee = spawnRequest(
            setup, UnsafeMutableBufferPointer(start: descriptors, count: setup.descriptors.count))
        request.pointee.paths = program.invocation.candidates.constantPointer
        request.pointee.arguments = UnsafePointer(program.invocation.arguments.pointer)
        request.pointee.environment = UnsafePointer(
            edits.isEmpty ? program.invocation.environment.pointer : environment)
        request.pointee.announcement = UnsafePointer(text)
        request.pointee.announcement_length = Int32(announcement.count)
        return true
    }

    private func copy<Element>(_ array: [Element], to place: inout UnsafeMutableRawPointer)
        -> UnsafeMutableRawPointer
    {
        let start = place
        array.withUnsafeBytes {
            start.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(start), byteCount: $0.count)
        }
        place += array.count * MemoryLayout<Element>.stride
        return start
    }
}
