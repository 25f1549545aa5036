import Bytes
import Commands
import Linux

/// A file that holds the last selected line, rewritten in one write of 1001 bytes: the head of the
/// line and newlines.
struct StatusFile: ~Copyable {
    /// How many bytes the file has.
    static let size = 1001

    private let path: ByteString
    private let file: Descriptor
    private let retry: Retry
    private var content = [UInt8](repeating: UInt8(ascii: "\n"), count: size)
    private var isGivenUp = false

    /// Opens, and makes if needed, the file, without changing it. Root follows no link that another user
    /// may have made to have something else overwritten.
    init(_ path: ByteString, _ retry: Retry) throws(Failure) {
        _ = try require("unable to create \(path)") { () throws(SystemError) in
            try StatusFile.open(path, .append)
        }
        file = try require("unable to write \(path)") { () throws(SystemError) in
            try StatusFile.open(path, .write)
        }
        self.path = path
        self.retry = retry
    }

    private static func open(_ path: ByteString, _ mode: OpenMode) throws(SystemError) -> Descriptor
    {
        let isRoot = CurrentProcess.effectiveUser == 0
        return isRoot ? try openTrusted(path, mode) : try openFile(path, mode)
    }

    /// Rewrites the file with the head of a line, at most 1000 bytes.
    mutating func keep(_ head: UnsafeRawBufferPointer) {
        if isGivenUp { return }
        for (index, byte) in head.enumerated() { content[index] = byte }
        for index in head.count..<StatusFile.size { content[index] = UInt8(ascii: "\n") }
        do throws(Retry.GivenUp) { try rewrite() } catch { isGivenUp = true }
    }

    private func rewrite() throws(Retry.GivenUp) {
        while true {
            try retry.untilDone("unable to move to beginning of \(path)") {
                () throws(SystemError) in
                try seek(file, to: 0)
            }
            let written = try retry.untilDone("unable to write \(path)") {
                () throws(SystemError) in
                try content.withUnsafeBufferPointer { (bytes) throws(SystemError) in
                    try file.write(UnsafeRawBufferPointer(bytes))
                }
            }
            if written == StatusFile.size { return }
            try retry.pause("unable to write \(path)", .noSpace)
        }
    }
}
