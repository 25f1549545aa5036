import Bytes
import Commands
import Formats
import Foundation
import Linux
import Testing

@testable import ServiceFiles

@Suite("The directory supervise")
struct SuperviseDirectoryTests {
    private let record = StatusRecord(
        since: TAI64N(unixSeconds: 1_000_000, nanoseconds: 5), pid: 77, isPaused: false,
        want: StatusRecord.wantsUp)
    private let later = StatusRecord(
        since: TAI64N(unixSeconds: 1_000_001, nanoseconds: 5), pid: 0, isPaused: false,
        want: StatusRecord.wantsDown)

    private func read(_ supervise: borrowing SuperviseDirectory) throws -> StatusRecord? {
        try StatusRecord(readFrom: try supervise.openStatus())
    }

    @Test("A supervisor sets up what its clients look for")
    func bothSides() throws {
        let scratch = try Scratch()
        let service = try scratch.open()
        #expect(throws: SystemError("open", .noEntry, subject: "supervise")) {
            _ = try SuperviseDirectory(of: Directory(service))
        }
        let supervise = try SuperviseDirectory(makingIn: Directory(service))
        #expect(try status(of: supervise.place.number).mode & 0o7777 == 0o700)
        let lock = try supervise.takeLock()
        try supervise.makeFIFO(.control)
        try supervise.makeFIFO(.ok)
        let control = try supervise.openControl()
        try supervise.writeFirst(record, service: "s")
        let client = try SuperviseDirectory(of: Directory(service))
        #expect(try !client.isSupervised())
        let ok = try supervise.openOK()
        #expect(try client.isSupervised())
        #expect(try read(client) == record)
        try supervise.write(later, service: "s")
        #expect(try read(client) == later)
        try send(Array("ux".utf8), to: try client.openCommands(), until: .now)
        var bytes: [UInt8] = [0, 0, 0]
        let count = try bytes.withUnsafeMutableBytes { try control.read(into: $0) }
        #expect(bytes[..<count] == [UInt8(ascii: "u"), UInt8(ascii: "x")])
        #expect(throws: SystemError("flock", .again)) {
            _ = try SuperviseDirectory(makingIn: Directory(service)).takeLock()
        }
        _ = consume ok
        _ = consume lock
    }

    @Test("A FIFO that nobody empties is given up at the deadline")
    func fullFIFO() throws {
        let scratch = try Scratch()
        let service = try scratch.open()
        let supervise = try SuperviseDirectory(makingIn: Directory(service))
        try supervise.makeFIFO(.control)
        let control = try supervise.openControl()
        let page = [UInt8](repeating: UInt8(ascii: "u"), count: 4096)
        #expect(throws: SystemError("write", .again)) {
            while true { try writeAll(control.number, page) }
        }
        #expect(throws: SystemError("write", .timedOut)) {
            try send([UInt8(ascii: "u")], to: control, until: .now.advanced(milliseconds: 20))
        }
    }

    @Test("Nothing but a FIFO is written to, and nothing but a file is read, whatever links say")
    func wrongKinds() throws {
        let scratch = try Scratch()
        try scratch.put("victim", "unharmed")
        let service = try scratch.open()
        let supervise = try SuperviseDirectory(makingIn: Directory(service))
        for name in ["lock", "control", "ok", "status", "status.new"] as [ByteString] {
            try scratch.link("supervise/\(name)", to: "../victim")
        }
        #expect(throws: SystemError("open", .symbolicLink, subject: "lock")) {
            _ = try supervise.takeLock()
        }
        #expect(throws: SystemError("open", .notFIFO, subject: "control")) {
            try supervise.makeFIFO(.control)
        }
        #expect(throws: SystemError("open", .symbolicLink, subject: "control")) {
            _ = try supervise.openControl()
        }
        #expect(throws: SystemError("open", .symbolicLink, subject: "control")) {
            _ = try supervise.openCommands()
        }
        #expect(throws: SystemError("open", .symbolicLink, subject: "ok")) {
            _ = try supervise.isSupervised()
        }
        #expect(throws: SystemError("open", .symbolicLink, subject: "status")) {
            _ = try supervise.openStatus()
        }
        try supervise.write(record, service: "s")
        #expect(try read(supervise) == record)
        #expect(try scratch.text("victim") == "unharmed")
        for name in ["control", "ok"] as [ByteString] {
            try removeFile("\(scratch.path)/supervise/\(name)")
            try scratch.put("supervise/\(name)", "unharmed")
        }
        #expect(throws: SystemError("open", .notFIFO, subject: "control")) {
            _ = try supervise.openCommands()
        }
        #expect(throws: SystemError("open", .notFIFO, subject: "ok")) {
            _ = try supervise.isSupervised()
        }
        #expect(try scratch.text("supervise/control") == "unharmed")
        try removeFile("\(scratch.path)/supervise/status")
        try makeFIFO("\(scratch.path)/supervise/status", permissions: 0o600)
        #expect(throws: SystemError("open", .notRegular, subject: "status")) {
            _ = try supervise.openStatus()
        }
    }

    @Test(
        "Without room for a new status file the old one is overwritten, unless it has another name")
    func noRoom() throws {
        let scratch = try Scratch()
        let service = try scratch.open()
        let supervise = try SuperviseDirectory(makingIn: Directory(service))
        try supervise.writeFirst(record, service: "s")
        func writeWithoutRoom() throws {
            let seam = Seam()
            seam.fail("write", with: .noSpace)
            try seam.during { try supervise.write(later, service: "s") }
        }
        try writeWithoutRoom()
        #expect(try read(supervise) == later)
        try link("supervise/status", to: "other", in: Directory(service))
        #expect(throws: Failure.self) { try writeWithoutRoom() }
    }

    @Test("What is asked of the kernel for a status: a new file, complete before it has the name")
    func order() throws {
        let scratch = try Scratch()
        let service = try scratch.open()
        let supervise = try SuperviseDirectory(makingIn: Directory(service))
        try supervise.writeFirst(record, service: "s")
        let seam = Seam()
        try seam.during { try supervise.write(later, service: "s") }
        #expect(seam.trace == ["open status.new", "write", "close", "rename status.new"])
    }
}

/// Links need owners, so that these tests are root's.
@Suite("Links on the way", .enabled(if: geteuid() == 0)) struct TrustedLinkTests {
    private let joe: UInt32 = 1234
    private let jim: UInt32 = 1235

    /// A place where joe may do what he likes.
    private func scratch() throws -> Scratch {
        let scratch = try Scratch()
        for (name, owner) in [("root", 0), ("joe", joe), ("jim", jim)] as [(ByteString, UInt32)] {
            try scratch.makeDirectory(name, owner: owner)
        }
        return scratch
    }

    private func open(_ scratch: Scratch) throws -> FileStatus {
        let service = try scratch.open()
        let supervise = try SuperviseDirectory(makingIn: Directory(service))
        return try status(of: supervise.place.number)
    }

    private let foreign = SystemError("open", .foreignLink, subject: "supervise")

    @Test("A directory may be anybody's")
    func owner() throws {
        let scratch = try scratch()
        try scratch.makeDirectory("supervise", owner: joe)
        #expect(try open(scratch).user == joe)
    }

    @Test("A link of root leads anywhere", arguments: ["root", "joe"] as [ByteString])
    func rootsLink(target: ByteString) throws {
        let scratch = try scratch()
        try scratch.link("supervise", to: target)
        #expect(try open(scratch) == status(of: "\(scratch.path)/\(target)"))
    }

    @Test("A link of a user leads to his own things only")
    func usersLink() throws {
        for (target, isFollowed) in [("joe", true), ("root", false), ("jim", false)]
            as [(ByteString, Bool)]
        {
            let scratch = try scratch()
            try scratch.link("supervise", to: "\(scratch.path)/\(target)", owner: joe)
            if isFollowed {
                #expect(try open(scratch).user == joe)
            } else {
                #expect(throws: foreign) { try open(scratch) }
            }
        }
    }

    @Test(
        "A link of root through a place of joe's, where joe put a link, leads to nothing of root's")
    func linkOnTheWay() throws {
        let scratch = try scratch()
        try scratch.makeDirectory("root/place")
        try scratch.link("joe/way", to: "../root", owner: joe)
        try scratch.link("supervise", to: "joe/way/place")
        #expect(throws: foreign) { try open(scratch) }
    }

    @Test("Links of two users are never both followed")
    func twoUsers() throws {
        let scratch = try scratch()
        try scratch.link("jim/link", to: "../joe", owner: jim)
        try scratch.link("supervise", to: "jim/link", owner: joe)
        #expect(throws: foreign) { try open(scratch) }
    }

    @Test("A directory is made at the end of a link of root's, and at no other's")
    func making() throws {
        let scratch = try scratch()
        try scratch.link("supervise", to: "root/new")
        #expect(try open(scratch).mode & 0o7777 == 0o700)
        try removeFile("\(scratch.path)/supervise")
        try scratch.link("supervise", to: "joe/new", owner: joe)
        #expect(throws: SystemError("mkdir", .foreignLink, subject: "supervise")) {
            try open(scratch)
        }
        #expect(try !exists("\(scratch.path)/joe/new"))
    }

    @Test("A link to itself ends as the kernel ends it")
    func loop() throws {
        let scratch = try scratch()
        try scratch.link("supervise", to: "supervise")
        #expect(throws: SystemError("open", .linkLoop, subject: "supervise")) {
            try open(scratch)
        }
    }

    @Test("Links of procfs, which name no path, are followed")
    func procfs() throws {
        let scratch = try scratch()
        let place = try openFile("\(scratch.path)/root", .place)
        let found = try openTrusted("/proc/self/fd/\(place.number)", .directory)
        #expect(try status(of: found.number) == status(of: place.number))
        let below = try openTrusted("/proc/self/fd/\(place.number)/../joe", .directory)
        #expect(try status(of: below.number).user == joe)
    }

    @Test("Everything else is found where openat(2) finds it")
    func sameAsKernel() throws {
        let scratch = try scratch()
        try scratch.put("root/file", "text")
        try scratch.link("absolute", to: "\(scratch.path)/root")
        try scratch.link("root/up", to: "..")
        let start = try scratch.open()
        for path in [
            ".", "..", "/", "//", "root", "root/", "./root/./file", "absolute/up/root/up/joe/..",
            "/tmp", "nothing", "nothing/more", "root/file/more", "",
        ] as [ByteString] {
            let expected = Result {
                try status(of: openFile(path, .read, in: Directory(start)).number)
            }
            let found = Result {
                try status(of: openTrusted(path, .read, in: Directory(start)).number)
            }
            switch (expected, found) {
            case (.success(let expected), .success(let found)): #expect(expected == found)
            case (.failure(let expected), .failure(let found)):
                let expected = expected as? SystemError
                #expect(expected?.errno == (found as? SystemError)?.errno, "\(path)")
            default: Issue.record("\(String(decoding: path.bytes, as: UTF8.self)): \(found)")
            }
        }
    }
}
