import Bytes
import CLinux

/// Environment variables as a program is given them: `NAME=VALUE`, in order, bytes untouched.
public struct Environment: @unchecked Sendable, Equatable {
    /// What the process was started with stays where the kernel put it, as long as the process lives,
    /// and most programs hand it on without a look.
    private var list: [CText]

    /// An environment of the given entries, each `NAME=VALUE`.
    public init(_ entries: [ByteString] = []) { list = entries.map { .copied($0) } }

    /// The environment this process was started with.
    public static var inherited: Environment {
        let start = cl_environ()
        var count = 0
        while start?[count] != nil { count += 1 }
        var environment = Environment()
        environment.list.reserveCapacity(count)
        for index in 0..<count {
            if let pointer = start?[index] { environment.list.append(.lasting(pointer)) }
        }
        return environment
    }

    /// The entries, each `NAME=VALUE`.
    public var entries: [ByteString] {
        list.map { entry in
            switch entry {
            case .lasting(let pointer): ByteString(cString: pointer)
            case .copied(let bytes): bytes
            }
        }
    }

    /// The value of the first entry named `name`.
    public subscript(name: ByteString) -> ByteString? {
        for entry in list where Environment.entry(entry, isNamed: name) {
            return entry.withCString {
                ByteString(cString: $0.advanced(by: name.count + 1))
            }
        }
        return nil
    }

    /// Replaces every entry named `name` by one at the end.
    public mutating func set(_ name: ByteString, _ value: ByteString) {
        unset(name)
        list.append(.copied("\(name)=\(value)"))
    }

    /// Removes every entry named `name`.
    public mutating func unset(_ name: ByteString) {
        // Mostly there is none, and nothing to move.
        guard list.contains(where: { Environment.entry($0, isNamed: name) }) else { return }
        list.removeAll { Environment.entry($0, isNamed: name) }
    }

    /// What the kernel counts for it at an exec: bytes, NULs and pointers.
    var size: Int {
        list.reduce(0) {
            $0 + $1.withCString { strlen($0) } + 1 + MemoryLayout<Int>.size
        }
    }

    /// As the kernel takes it.
    var vector: CVector { CVector(list) }

    /// Equal when they have the same entries in the same order.
    public static func == (left: Environment, right: Environment) -> Bool {
        left.entries == right.entries
    }

    private static func entry(_ entry: CText, isNamed name: ByteString) -> Bool {
        let count = name.count
        return entry.withCString { text in
            name.withCString { strncmp(text, $0, count) == 0 }
                && text[count] == CChar(UInt8(ascii: "="))
        }
    }
}
