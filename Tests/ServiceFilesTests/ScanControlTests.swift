import Bytes
import Linux
import ServiceFiles
import Testing

@Suite("The control of a scan directory")
struct ScanControlTests {
    private func withDirectory(_ body: (Directory, ByteString) throws -> Void) throws {
        let path: ByteString =
            "/tmp/apus-scan-\(CurrentProcess.id)-\(UInt64.random(in: 0 ... .max))"
        try makeDirectory(path, permissions: 0o755)
        let place = try openFile(path, .place)
        try body(Directory(place), path)
        for name in ["lock", "control"] as [ByteString] {
            do { try removeFile("\(path)/.svscan/\(name)") } catch {}
        }
        do { try removeDirectory("\(path)/.svscan") } catch {}
        try removeDirectory(path)
    }

    /// What has come, at most 64 letters at a time, as a supervisor reads it.
    private func commands(_ control: borrowing ScanControl) throws -> [ScanCommand] {
        var letters = [UInt8](repeating: 0, count: 64)
        do {
            let count = try letters.withUnsafeMutableBytes { try read(control.number, into: $0) }
            return letters[..<count].compactMap { ScanCommand(rawValue: $0) }
        } catch let error as SystemError where error.errno == .again { return [] }
    }

    private func send(_ letters: String, in scan: Directory) throws {
        let client = try ScanClient(of: scan, or: nowhere)
        try ServiceFiles.send(Array(letters.utf8), to: client.control, until: .now)
    }

    @Test("Commands arrive in their order, whatever is between them")
    func commands() throws {
        try withDirectory { scan, path in
            let control = try ScanControl(makingIn: scan, or: nowhere)
            #expect(try commands(control) == [])
            try send("h", in: scan)
            try send("x?th\n", in: scan)
            var events: [EventLoop.Event] = []
            let loop = try EventLoop()
            try loop.add(control.number, token: 5)
            try loop.wait(until: .now, &events)
            #expect(events.map { $0.token } == [5])
            #expect(try commands(control) == [.rescan, .stop, .rescan])
            #expect(try commands(control) == [])
            #expect(try status(of: "\(path)/.svscan").mode & 0o777 == 0o700)
        }
    }

    @Test("A flood is taken piece by piece")
    func flood() throws {
        try withDirectory { scan, _ in
            let control = try ScanControl(makingIn: scan, or: nowhere)
            try send(String(repeating: "h", count: 150), in: scan)
            #expect(try (0..<4).map { _ in try commands(control).count } == [64, 64, 22, 0])
        }
    }

    @Test("There is one supervisor at a time, and one after another")
    func onlyOne() throws {
        try withDirectory { scan, _ in
            do {
                let control = try ScanControl(makingIn: scan, or: nowhere)
                #expect(throws: SystemError("flock", .again)) {
                    _ = try ScanControl(makingIn: scan, or: nowhere)
                }
                _ = try commands(control)
            }
            // Other tests fork, and their children have all descriptors for a while.
            let deadline = Instant.now.advanced(milliseconds: 10_000)
            while true {
                do throws(SystemError) {
                    _ = try ScanControl(makingIn: scan, or: nowhere)
                    break
                } catch {
                    if error.errno != .again || Instant.now > deadline { throw error }
                }
            }
        }
    }

    @Test("Without a supervisor there is nobody to send to")
    func nobody() throws {
        try withDirectory { scan, _ in
            #expect(throws: SystemError.self) { try send("h", in: scan) }
            do throws(SystemError) {
                _ = try ScanClient(of: scan, or: nowhere)
                Issue.record("there is somebody")
            } catch { #expect(error.errno == .noReader) }
        }
    }
}
