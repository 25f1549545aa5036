import Bytes
import CLinux

/// Loads a module from its file, with parameters as insmod(8) takes them. A compressed file is left to the kernel to
/// unpack, which Linux 5.17 and up may do. One that is loaded already is no error. finit_module(2).
public func loadKernelModule(_ path: ByteString, parameters: ByteString = "") throws(SystemError) {
    let file = try openFile(path, .read)
    let number = file.number
    // MODULE_INIT_COMPRESSED_FILE
    let flags = path.bytes.suffix(3).elementsEqual(".ko".utf8) ? 0 : 4
    do throws(SystemError) {
        _ = try Kernel.call("finit_module", path) {
            parameters.withCString {
                cl_syscall(Int(SYS_finit_module), Int(number), Int(bitPattern: $0), flags, 0)
            }
        }
    } catch {
        if error.errno != .exists { throw error }
    }
}
