import Bytes
import Commands
import Linux
import Services
import Testing

@testable import Supervision

/// The supervisor's own set-up, and the scan directory, while system calls fail.
private let nowhere = StatePlaces(
    chosen: "/nonexistent/state", runtimeDirectory: nil, user: 0)

@Suite("The supervisor", .serialized) struct SupervisorTests {
    private func configuration(_ path: ByteString? = nil) -> Supervisor.Configuration {
        var configuration = Supervisor.Configuration(
            .init(
                stopLimit: 0, stopReserve: 0, reachesOthers: false),
            environment: .inherited, meaning: { _ in [] })
        configuration.scanDirectory = path
        configuration.signals = SignalSet(.child)
        return configuration
    }

    @Test(
        "Its set-up throws what fails",
        arguments: [
            "sigprocmask", "sigaction", "signalfd", "epoll_create", "epoll_ctl",
        ])
    func setUp(call: String) throws {
        let seam = Seam()
        seam.fail(call, with: .noMemory)
        let before = try SignalSet(.child).block()
        defer { do { _ = try before.block() } catch {} }
        seam.during {
            do throws(SystemError) {
                _ = try Supervisor(configuration(), messages: Messages(program: "test"))
                Issue.record("it succeeded")
            } catch {
                #expect(error.errno == .noMemory)
            }
        }
    }

    @Test(
        "Without inotify the directory is listed as one that nobody watches",
        arguments: ["inotify_init", "inotify_add_watch"])
    func withoutInotify(call: String) throws {
        let scratch = try Scratch()
        let seam = Seam()
        seam.fail(call, with: .tooManyDescriptors, times: 9)
        let listing = try seam.during {
            try ScanDirectory(scratch.path, nowhere, Messages(program: "test")).list()
        }
        #expect(!listing.isWatched)
        #expect(
            try ScanDirectory(scratch.path, nowhere, Messages(program: "test")).list().isWatched)
    }

    @Test("A directory that cannot be read is said")
    func unreadable() throws {
        let scratch = try Scratch()
        let scan = ScanDirectory(scratch.path, nowhere, Messages(program: "test"))
        let seam = Seam()
        seam.fail("open", with: .tooManyFiles)
        #expect(throws: Failure.self) { try seam.during { try scan.list() } }
        _ = try scan.list()
    }

    @Test("What a listing says of each kind of name")
    func kinds() throws {
        let scratch = try Scratch()
        for name in ["made", "elsewhere", ".hidden"] as [ByteString] {
            try makeDirectory("\(scratch.path)/\(name)", permissions: 0o755)
        }
        let scan = ScanDirectory(scratch.path, nowhere, Messages(program: "test"))
        try makeDirectory("\(scratch.path)/.new", permissions: 0o755)
        try rename("\(scratch.path)/.new", to: "\(scratch.path)/renamed")
        _ = try openFile("\(scratch.path)/file", .truncate)
        try scratch.link("nowhere", to: "missing")
        try scratch.link("undecided", to: "file")
        try scratch.link("linked", to: ".hidden")
        _ = try scan.list()
        let listing = try ScanDirectory(scratch.path, nowhere, Messages(program: "test")).list()
        let contents = Dictionary(
            uniqueKeysWithValues: listing.entries.map { ("\($0.name.visibleText)", $0.content) })
        #expect(
            Set(contents.keys) == [
                "made", "elsewhere", "renamed", "linked", "nowhere", "undecided",
            ])
        #expect(contents["undecided"] == .undecided)
        guard case .unknown(let complaint) = contents["nowhere"] else {
            Issue.record("a dangling link is unknown")
            return
        }
        #expect(complaint.text == "unable to stat nowhere")
        guard case .directory(_, isWhole: true) = contents["linked"] else {
            Issue.record("a linked directory is whole")
            return
        }
        guard case .directory(_, isWhole: false) = contents["made"] else {
            Issue.record("a directory may still be filled")
            return
        }
    }

    @Test("A directory that was renamed is whole")
    func arrivals() throws {
        let scratch = try Scratch()
        let scan = ScanDirectory(scratch.path, nowhere, Messages(program: "test"))
        _ = try scan.list()
        try makeDirectory("\(scratch.path)/.new", permissions: 0o755)
        try rename("\(scratch.path)/.new", to: "\(scratch.path)/renamed")
        let entry = try #require(try scan.list().entries.first)
        guard case .directory(_, isWhole: true) = entry.content else {
            Issue.record("it is not whole")
            return
        }
    }

    @Test("A look at a service directory differs when anything in it does")
    func looks() throws {
        let scratch = try Scratch()
        let place = try openFile(scratch.path, .place)
        var seen: Set<UInt64> = [try ServiceLook(at: place).signature]
        func change(_ body: () throws -> Void) throws {
            try body()
            #expect(seen.insert(try ServiceLook(at: place).signature).inserted)
        }
        #expect(try !ServiceLook(at: place).hasRun)
        try change { _ = try openFile("\(scratch.path)/run", .truncate) }
        #expect(try ServiceLook(at: place).hasRun)
        try change { try setPermissions(of: "\(scratch.path)/run", 0o755) }
        try change { try makeDirectory("\(scratch.path)/log", permissions: 0o755) }
        try change { _ = try openFile("\(scratch.path)/log/run", .truncate) }
        try change {
            let file = try openFile("\(scratch.path)/log/run", .append)
            try writeAll(file.number, [65])
        }
    }
}

extension ByteString {
    fileprivate var visibleText: String { String(decoding: bytes, as: UTF8.self) }
}
