import Bytes
import Commands
import Linux
import Services
import Testing

@testable import ServiceFiles

/// No place but the service directory itself.
let nowhere = StatePlaces(chosen: "/nonexistent/state", runtimeDirectory: nil, user: 0)

@Suite("State outside of the service directory")
struct StateDirectoryTests {
    private func places(_ scratch: Scratch) -> StatePlaces {
        StatePlaces(chosen: "\(scratch.path)/state", runtimeDirectory: nil, user: 0)
    }

    /// A service whose directory, says the kernel, cannot be written to.
    private func serviceElsewhere(_ scratch: Scratch, _ call: String, _ errno: Errno) throws
        -> ServiceDirectory
    {
        let place = try openFile("\(scratch.path)/web", .place)
        let copy = try place.duplicate().release()
        let seam = Seam()
        seam.fail(call, with: errno, skip: 0)
        return try seam.during {
            try ServiceDirectory(
                Descriptor(owning: copy), name: "web", states: places(scratch), fallback: .none)
        }
    }

    @Test(
        "Supervisor and client meet there, whatever kept it from the directory",
        arguments: [
            ("mkdir", Errno.readOnly), ("mkdir", .accessDenied), ("mkdir", .notPermitted),
            ("mkfifo", .notPermitted), ("mkfifo", .notSupported), ("mkfifo", .noSystemCall),
        ])
    func bothSides(call: String, errno: Errno) throws {
        let scratch = try Scratch()
        try scratch.makeDirectory("web")
        var service = try serviceElsewhere(scratch, call, errno)
        let identity = try status(of: "\(scratch.path)/web").identity
        let state: ByteString =
            "\(scratch.path)/state/\(identity.device)-\(identity.inode)/supervise"
        #expect(try status(of: "\(state)/control").isFIFO)
        #expect(try status(of: state).mode & 0o7777 == 0o700)
        let place = try openFile("\(scratch.path)/web", .place)
        let client = try SuperviseDirectory(of: Directory(place), or: places(scratch))
        #expect(try !client.isSupervised())
        try service.announce()
        let second = try SuperviseDirectory(of: Directory(place), or: places(scratch))
        #expect(try second.isSupervised())
        #expect(throws: Failure.self) { _ = try serviceElsewhere(scratch, call, errno) }
        _ = consume service
    }

    @Test("Any other error is told", arguments: [Errno.noSpace, .noEntry, .tooManyDescriptors])
    func others(errno: Errno) throws {
        let scratch = try Scratch()
        try scratch.makeDirectory("web")
        #expect(throws: Failure.self) { _ = try serviceElsewhere(scratch, "mkdir", errno) }
        #expect(try !exists("\(scratch.path)/state"))
    }

    @Test("What a stranger made, or may change, is refused to both sides")
    func strangers() throws {
        let scratch = try Scratch()
        try scratch.makeDirectory("web")
        try scratch.makeDirectory("theirs", owner: 4321)
        try scratch.makeDirectory("open")
        try setPermissions(of: "\(scratch.path)/open", 0o777)
        try scratch.makeDirectory("real")
        try scratch.link("link", to: "real", owner: 4321)
        try scratch.put("file")
        let place = try openFile("\(scratch.path)/web", .place)
        let places = places(scratch)
        for name in ["theirs", "open", "link", "file", "missing/deeper"] as [ByteString] {
            let candidate: ByteString = "\(scratch.path)/\(name)"
            #expect(throws: SystemError.self, "\(name)") {
                _ = try places.make(in: candidate, for: Directory(place))
            }
            #expect(throws: SystemError.self, "\(name)") {
                _ = try places.open(candidate, for: Directory(place))
            }
        }
        // With the sticky bit, which keeps others from renaming; but not what one of them has made there already.
        try setPermissions(of: "\(scratch.path)/open", 0o1777)
        let candidate: ByteString = "\(scratch.path)/open"
        let identity = try status(of: "\(scratch.path)/web").identity
        try scratch.makeDirectory("open/\(identity.device)-\(identity.inode)", owner: 4321)
        #expect(throws: SystemError("open", .notPermitted)) {
            _ = try places.make(in: candidate, for: Directory(place))
        }
        #expect(throws: SystemError("open", .notPermitted)) {
            _ = try places.open(candidate, for: Directory(place))
        }
        try removeDirectory("\(candidate)/\(identity.device)-\(identity.inode)")
        let made = try places.make(in: candidate, for: Directory(place))
        let found = try places.open(candidate, for: Directory(place))
        #expect(try status(of: made.number).identity == status(of: found.number).identity)
    }

    @Test("A scan directory's is there, too")
    func scan() throws {
        let scratch = try Scratch()
        try scratch.makeDirectory("services")
        let place = try openFile("\(scratch.path)/services", .place)
        let seam = Seam()
        seam.fail("mkdir", with: .readOnly, skip: 0)
        let places = places(scratch)
        let control = try seam.during { try ScanControl(makingIn: Directory(place), or: places) }
        let client = try ScanClient(of: Directory(place), or: places)
        try send([UInt8(ascii: "h")], to: client.control, until: .now)
        var letters: [UInt8] = [0, 0]
        #expect(try letters.withUnsafeMutableBytes { try read(control.number, into: $0) } == 1)
        #expect(ScanCommand(rawValue: letters[0]) == .rescan)
        #expect(throws: SystemError.self) {
            _ = try ScanClient(of: Directory(place), or: nowhere)
        }
    }
}
