import Bytes
import Linux
import Testing

@Suite("The kernel's face")
struct KernelTests {
    @Test("A seam makes the chosen call fail, and only that often")
    func seam() throws {
        let seam = Seam()
        seam.fail("stat", with: .noSpace, skip: 1)
        try seam.during {
            _ = try status(of: "/")
            #expect(throws: SystemError("stat", .noSpace, subject: "/usr")) {
                try status(of: "/usr")
            }
            _ = try status(of: "/usr")
        }
        #expect(seam.trace == ["stat /", "stat /usr", "stat /usr"])
        // Gone with its block.
        _ = try status(of: "/")
        #expect(seam.trace.count == 3)
    }

    @Test("An interrupted call is made again, unless asked otherwise")
    func interrupted() throws {
        let seam = Seam()
        seam.fail("stat", with: .interrupted, times: 3)
        try seam.during { _ = try status(of: "/") }
        #expect(seam.trace.count == 4)
    }

    @Test("A descriptor is closed with its owner, once")
    func descriptorLifetime() throws {
        let number: Int32
        do {
            let descriptor = try openFile("/", .directory)
            number = descriptor.number
            _ = try status(of: number)
        }
        #expect(throws: SystemError("fstat", Errno(9))) { try status(of: number) }
    }

    @Test("The loop returns what is ready, and nothing at the deadline or of what was removed")
    func eventLoop() throws {
        let loop = try EventLoop()
        let pipe = try Pipe(flags: 0)
        try loop.add(pipe.reader.number, token: 42)
        var events: [EventLoop.Event] = []
        try loop.wait(until: Instant.now.advanced(milliseconds: 5), &events)
        #expect(events.isEmpty)
        try writeAll(pipe.writer.number, [1])
        try loop.wait(until: nil, &events)
        #expect(events.count == 1)
        #expect(events.first?.token == 42)
        #expect(events.first?.isReadable == true)
        try loop.remove(pipe.reader.number)
        try loop.wait(until: Instant.now, &events)
        #expect(events.isEmpty)
    }

    @Test("A watched directory tells of changes until drained")
    func directoryWatch() throws {
        let path: ByteString = "/tmp/apus-watch-\(CurrentProcess.id)"
        try makeDirectory(path, permissions: 0o700)
        defer { do { try Linux.removeDirectory(path) } catch {} }
        let watch = try DirectoryWatch()
        let number = try watch.add(path)
        func changes() throws -> [DirectoryWatch.Change] {
            var changes: [DirectoryWatch.Change] = []
            try watch.drain { changes.append($0) }
            return changes
        }
        #expect(try changes().isEmpty)
        try makeFIFO("\(path)/x", permissions: 0o600)
        let made = try changes()
        #expect(made.map { $0.watch } == [number])
        #expect(made.map { $0.name } == ["x"])
        #expect(made.map { $0.isArrival } == [false])
        #expect(try changes().isEmpty)
        try rename("\(path)/x", to: "\(path)/y")
        let renamed = try changes()
        #expect(renamed.map { $0.name } == ["x", "y"])
        #expect(renamed.map { $0.isArrival } == [false, true])
        try removeFile("\(path)/y")
        #expect(try changes().map { $0.isOfDirectory } == [false])
        try rename(path, to: "\(path)-moved")
        #expect(try changes().map { $0.isOfDirectory } == [true])
        try rename("\(path)-moved", to: path)
    }

    @Test("Reading a whole file stops at the limit given")
    func contentsLimit() throws {
        #expect(try contents(of: "/proc/self/comm", limit: 64).isEmpty == false)
        #expect(throws: SystemError.self) { try contents(of: "/proc/self/status", limit: 10) }
        #expect(throws: SystemError("open", .noEntry, subject: "/nowhere")) {
            try contents(of: "/nowhere", limit: 10)
        }
    }

    @Test("Entries are all names but . and ..")
    func directoryEntries() throws {
        let names = try entries(of: "/proc/self/task")
        #expect(names.contains("\(CurrentProcess.id)"))
        #expect(!names.contains("."))
        #expect(throws: SystemError.self) { try entries(of: "/etc/passwd") }
    }
}
