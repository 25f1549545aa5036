import Bytes
import CLinux

/// The seam every system call of this module goes through. In the ordinary build a test may install
/// a `Seam` for its thread, which can make any call fail; the release has nothing but the call.
package enum Kernel {
    /// Makes a call that returns -1 and sets errno on failure. Interrupted calls are made again
    /// unless `retry` is false.
    @inline(__always)
    package static func call<Value: FixedWidthInteger>(
        _ name: StaticString, _ subject: ByteString? = nil, retry: Bool = true,
        _ body: () -> Value
    ) throws(SystemError) -> Value {
        while true {
            #if !hasFeature(Embedded)
                if let errno = Seam.current?.intercept(name, subject) {
                    if retry && errno == .interrupted { continue }
                    throw SystemError(name, errno, subject: subject ?? ByteString())
                }
                if Seam.current?.pretends(name) == true { return 0 }
            #endif
            let result = body()
            if result != -1 { return result }
            if let error = error(name, subject, retry: retry) { throw error }
        }
    }

    /// What a call failed with; nil when it is to be made again. Apart from the call, of which there is
    /// a copy for each system call.
    @inline(never)
    package static func error(
        _ name: StaticString, _ subject: ByteString?, retry: Bool
    ) -> SystemError? {
        let errno = Errno.last
        if retry && errno == .interrupted { return nil }
        return SystemError(name, errno, subject: subject ?? ByteString())
    }
}

#if !hasFeature(Embedded)
    /// Records the system calls of the thread that installed it, and makes chosen ones fail.
    public final class Seam {
        /// The calls made, oldest first, each as `name` or `name subject`.
        public private(set) var trace: [String] = []
        private var pretended: Set<String> = []
        private var failures: [(name: String, errno: Errno, skip: Int, times: Int)] = []

        /// A seam that lets everything pass.
        public init() {}

        /// Makes `name` fail with `errno` on its next `times` calls, after letting `skip` pass.
        public func fail(_ name: String, with errno: Errno, skip: Int = 0, times: Int = 1) {
            failures.append((name, errno, skip, times))
        }

        /// Makes `name` return 0 without being called, for what would change the tests' own process.
        public func pretend(_ name: String...) { pretended.formUnion(name) }

        /// Runs `body` with this seam in the way of the current thread's calls.
        public func during<Result: ~Copyable>(_ body: () throws -> Result) rethrows -> Result {
            let previous = cl_seam()
            cl_set_seam(Unmanaged.passUnretained(self).toOpaque())
            defer { cl_set_seam(previous) }
            return try body()
        }

        static var current: Seam? {
            cl_seam().map { Unmanaged<Seam>.fromOpaque($0).takeUnretainedValue() }
        }

        func pretends(_ name: StaticString) -> Bool { pretended.contains("\(name)") }

        func intercept(_ name: StaticString, _ subject: ByteString?) -> Errno? {
            let name = "\(name)"
            let text = subject.map { " " + String(decoding: $0.bytes, as: UTF8.self) } ?? ""
            trace.append(name + text)
            guard let index = failures.firstIndex(where: { $0.name == name && $0.times > 0 })
            else { return nil }
            if failures[index].skip > 0 {
                failures[index].skip -= 1
                return nil
            }
            failures[index].times -= 1
            return failures[index].errno
        }
    }
#endif
