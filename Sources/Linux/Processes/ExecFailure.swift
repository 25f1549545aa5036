import Bytes
import CLinux

/// Why the kernel could not execute the file at `path`, where the error number alone misleads: it says
/// "no such file" of a file that is there when the interpreter or the loader that the file names is
/// missing, and "not permitted" when the file gives capabilities that nobody may hold here. Nil where
/// the error number says it all, or where the file cannot be read.
///
/// For use after the exec has failed. Reads no more than a few kilobytes, and of regular files only.
/// `path` is relative to `directory`, and so is the interpreter that the kernel looked for. execve(2).
public func explain(
    execFailure errno: Errno, path: ByteString, in directory: Directory = .current
) -> ByteString? {
    guard errno == .noEntry || errno == .accessDenied || errno == .notPermitted,
        let descriptor = openRegularFile(path, directory)
    else { return nil }
    let file = ExecutableFile(file: descriptor)
    if errno == .notPermitted {
        return file.givesForbiddenCapabilities
            ? "its file capabilities are outside the bounding set" : nil
    }
    guard let (kind, name) = file.interpreter else { return nil }
    if kind == .interpreter, name.bytes.last == UInt8(ascii: "\r"), errno == .noEntry {
        return "its first line ends in CR LF"
    }
    let found = executionError(name, directory)
    if found == errno { return "its \(kind.text) \(name.visible)" }
    return nil
}

/// Explains why `invocation` could not be executed: the first file of its name in the search path that
/// tells more than the error number does. Nil where none does.
public func explain(execFailure errno: Errno, of invocation: Invocation) -> ByteString? {
    invocation.firstCandidate { explain(execFailure: errno, path: $0) }
}

/// What would keep this process from executing the file at `path`, in words for people; nil where nothing is seen that
/// would. Unlike `explain` it is for use before anybody tries. Reads no more than a few kilobytes.
public func executionObstacle(_ path: ByteString, in directory: Directory = .current) -> ByteString?
{
    do throws(SystemError) {
        let found = try status(of: path, in: directory)
        if found.isDirectory { return ByteString(Errno.isDirectory.text) }
        if !found.isRegular { return ByteString(Errno.notRegular.text) }
    } catch { return ByteString(error.errno.text) }
    if let errno = executionError(path, directory) {
        return errno == .accessDenied ? "not executable" : ByteString(errno.text)
    }
    // What may be executed need not be readable.
    guard let descriptor = openRegularFile(path, directory) else { return nil }
    let file = ExecutableFile(file: descriptor)
    if file.givesForbiddenCapabilities {
        return explain(execFailure: .notPermitted, path: path, in: directory)
    }
    guard let (kind, name) = file.interpreter else {
        return file.isBinary ? nil : "neither a program nor a script with a #! line"
    }
    guard let errno = executionError(name, directory) else { return nil }
    guard let cause = explain(execFailure: errno, path: path, in: directory) else {
        return "its \(kind.text) \(name.visible): \(errno.text)"
    }
    return "\(cause): \(errno.text)"
}

/// What an executable file wants besides itself.
private enum Need {
    /// The program of a `#!` line.
    case interpreter
    /// The dynamic loader of an ELF file.
    case loader

    var text: StaticString {
        switch self {
        case .interpreter: "interpreter"
        case .loader: "loader"
        }
    }
}

/// Why `path` cannot be executed; nil where it can.
private func executionError(_ path: ByteString, _ directory: Directory) -> Errno? {
    do throws(SystemError) {
        try checkExecutable(path, in: directory)
        return nil
    } catch { return error.errno }
}

/// Opens a file for reading; nil where it cannot be read, or is none of the regular ones.
private func openRegularFile(_ path: ByteString, _ directory: Directory) -> Descriptor? {
    do throws(SystemError) {
        // Opening a device or a FIFO may do something.
        guard try status(of: path, in: directory).isRegular else { return nil }
        let file = try openFile(path, .read, in: directory)
        return try status(of: file.number).isRegular ? consume file : nil
    } catch { return nil }
}

/// A regular file, open for a look at how the kernel would execute it.
private struct ExecutableFile: ~Copyable {
    /// The longest line of which the kernel reads an interpreter, BINPRM_BUF_SIZE.
    private static let lineLimit = 256
    /// How many bytes of program headers are looked at; the kernel takes a page.
    private static let headersLimit = 4096
    /// The longest path with its NUL, PATH_MAX.
    private static let pathLimit = 4096

    let file: Descriptor

    /// The program that the kernel starts for the file, or with it; nil where it starts the file alone.
    var interpreter: (Need, ByteString)? {
        let start = bytes(at: 0, ExecutableFile.lineLimit)
        if start.starts(with: "#!".utf8) { return scriptInterpreter(start) }
        if start.starts(with: [0x7f, 0x45, 0x4c, 0x46]) { return loader(ELFHeader(start)) }
        return nil
    }

    /// Whether it is an ELF file.
    var isBinary: Bool { bytes(at: 0, 4) == [0x7f, 0x45, 0x4c, 0x46] }

    private func scriptInterpreter(_ start: [UInt8]) -> (Need, ByteString)? {
        let blanks: [UInt8] = [UInt8(ascii: " "), UInt8(ascii: "\t")]
        let line = start.dropFirst(2).prefix { $0 != UInt8(ascii: "\n") }
        let word = line.drop { blanks.contains($0) }.prefix { !blanks.contains($0) && $0 != 0 }
        return word.isEmpty ? nil : (.interpreter, ByteString(word))
    }

    private func loader(_ header: ELFHeader?) -> (Need, ByteString)? {
        guard let header else { return nil }
        let table = bytes(
            at: header.offset, min(header.count * header.size, ExecutableFile.headersLimit))
        for start in stride(from: 0, to: table.count - header.size + 1, by: header.size) {
            guard let place = header.loader(in: table[start..<(start + header.size)]) else {
                continue
            }
            // A path, with the NUL at its end.
            guard (2...ExecutableFile.pathLimit).contains(place.count) else { return nil }
            let name = bytes(at: place.offset, place.count).prefix { $0 != 0 }
            return name.isEmpty ? nil : (.loader, ByteString(name))
        }
        return nil
    }

    /// Whether its capabilities are such that the kernel refuses to execute it: all of them are to be
    /// effective, and some are not in the bounding set. capabilities(7), linux/capability.h.
    var givesForbiddenCapabilities: Bool {
        var value = [UInt8](repeating: 0, count: 24)
        let length = fgetxattr(file.number, "security.capability", &value, value.count)
        // Revisions 1, 2 and 3, by their lengths: a word of flags, then permitted and inheritable words.
        guard [12, 20, 24].contains(length), value[0] & 1 == 1 else { return false }
        let low = number(value[4..<8])
        let permitted = UInt64(low) | (length > 12 ? UInt64(number(value[12..<16])) << 32 : 0)
        return (0..<64).contains { capability in
            permitted >> UInt64(capability) & 1 == 1
                && cl_prctl(PR_CAPBSET_READ, UInt(capability), 0, 0, 0) == 0
        }
    }

    /// As many of `count` bytes from `offset` on as there are.
    private func bytes(at offset: Int, _ count: Int) -> [UInt8] {
        guard offset >= 0, count > 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: count)
        var length = 0
        do throws(SystemError) {
            length = try bytes.withUnsafeMutableBufferPointer {
                (buffer) throws(SystemError) -> Int in
                try read(file, at: offset, into: UnsafeMutableRawBufferPointer(buffer))
            }
        } catch {}
        return Array(bytes.prefix(length))
    }
}

/// Where the program headers of an ELF file of this machine's byte order are. elf(5).
private struct ELFHeader {
    private static let loaderType = 3

    let is64Bit: Bool
    let offset: Int
    let size: Int
    let count: Int

    /// Reads the start of a file, whose magic number has been seen; nil where it makes no sense.
    init?(_ start: [UInt8]) {
        guard start.count >= 64, start[5] == 1 else { return nil }
        is64Bit = start[4] == 2
        offset = Int(clamping: number(is64Bit ? start[32..<40] : start[28..<32]))
        let sizes = is64Bit ? 54 : 42
        size = Int(number(start[sizes..<(sizes + 2)]))
        count = Int(number(start[(sizes + 2)..<(sizes + 4)]))
        if size < (is64Bit ? 56 : 32) || count == 0 { return nil }
    }

    /// Where the loader's name is, if this program header is about it.
    func loader(in header: ArraySlice<UInt8>) -> (offset: Int, count: Int)? {
        func field(_ start: Int, _ size: Int) -> Int {
            Int(clamping: number(header.dropFirst(start).prefix(size)))
        }
        guard field(0, 4) == ELFHeader.loaderType else { return nil }
        return is64Bit ? (field(8, 8), field(32, 8)) : (field(4, 4), field(16, 4))
    }
}

/// A number of at most eight bytes, the lowest first.
private func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
}

extension ByteString {
    /// The same for a message: what a terminal would act on becomes a question mark.
    fileprivate var visible: ByteString {
        ByteString(bytes.map { (32..<127).contains($0) ? $0 : UInt8(ascii: "?") })
    }
}
