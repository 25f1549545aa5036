import Bytes
import Commands
import Linux
import Networking
import Testing

@Suite("Copies and what stands between")
struct StreamCopyTests {
    /// What is copied of `input`, and how the copy ended, with `seam` in the way.
    private func copied(
        _ input: [UInt8], _ filter: some ByteFilter, _ seam: Seam = Seam()
    ) throws -> (output: [UInt8], failure: CopyError?) {
        let source = try Pipe()
        let target = try Pipe()
        try writeAll(source.writer.number, input)
        let reader = try source.reader.duplicate()
        // The end of the input: only the duplicate is read on.
        close(source)
        var failure: CopyError?
        seam.during {
            do throws(CopyError) {
                try copy(
                    from: reader.number, to: target.writer.number, through: filter)
            } catch { failure = error }
        }
        var buffer = [UInt8](repeating: 0, count: 4096)
        try setNonBlocking(target.reader.number, true)
        let count = buffer.withUnsafeMutableBytes { buffer in
            do { return try target.reader.read(into: buffer) } catch { return 0 }
        }
        return (Array(buffer[..<count]), failure)
    }

    private func close(_ pipe: consuming Pipe) {}

    private func isRead(_ error: CopyError?, _ errno: Errno) -> Bool {
        if case .read(let cause)? = error { return cause.errno == errno }
        return false
    }

    private func isWrite(_ error: CopyError?, _ errno: Errno) -> Bool {
        if case .write(let cause)? = error { return cause.errno == errno }
        return false
    }

    @Test("A copy ends with its source, and what was held back comes last")
    func whole() throws {
        let (output, failure) = try copied(Array("a\r\nb\r".utf8), CarriageReturnRemover())
        #expect(output == Array("a\nb\r".utf8) && failure == nil)
    }

    @Test("A source that fails loses nothing of what came before")
    func readFailure() throws {
        let seam = Seam()
        seam.fail("read", with: .protocolError, skip: 1)
        let (output, failure) = try copied(Array("a\r".utf8), CarriageReturnRemover(), seam)
        #expect(output == Array("a\r".utf8) && isRead(failure, .protocolError))
    }

    @Test("A target that fails is told apart from a source that does")
    func writeFailure() throws {
        let seam = Seam()
        seam.fail("write", with: .noSpace)
        let (output, failure) = try copied(Array("a\n".utf8), CarriageReturnInserter(), seam)
        #expect(output == [] && isWrite(failure, .noSpace))
    }

    @Test("What cannot be put between a program and its client is said, and nothing is changed")
    func interposition() throws {
        let input = try status(of: Standard.input)
        for (call, skip, text) in [
            ("pipe2", 0, "unable to create pipe"), ("pipe2", 1, "unable to create pipe"),
            ("fork", 0, "unable to fork"),
        ] as [(String, Int, ByteString)] {
            let seam = Seam()
            seam.fail(call, with: .tooManyDescriptors, skip: skip)
            let failure = seam.during { () -> Failure? in
                do throws(Failure) {
                    try interpose(CarriageReturnFixer(), CarriageReturnFixer())
                    return nil
                } catch { return error }
            }
            #expect(failure?.text == text && failure?.errno == .tooManyDescriptors)
            #expect(failure?.exitCode == 111)
        }
        #expect(try status(of: Standard.input) == input)
    }
}
