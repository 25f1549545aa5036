import Bytes

/// What depmod(8) knows of the kernel's modules: modules.dep and modules.alias, in their forms as text. They are long,
/// and little of them is wanted, so they stay text.
public struct ModuleIndex: Sendable {
    private let dependencies: [UInt8]
    private let aliases: [UInt8]

    /// An index of the content of both files.
    public init(dependencies: [UInt8], aliases: [UInt8]) {
        self.dependencies = dependencies
        self.aliases = aliases
    }

    /// The files of the module called `name`, with hyphens or underscores, below /lib/modules/RELEASE: what it needs
    /// first, itself last. Empty when there is no such module.
    public func files(ofModule name: ByteString) -> [ByteString] {
        let name = ModuleIndex.normal(name)
        let found = ModuleIndex.firstLine(of: dependencies) { line in
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return false }
            return ModuleIndex.isFile(line[..<colon], ofModule: name)
        }
        guard let line = found.map({ dependencies[$0] }),
            let colon = line.firstIndex(of: UInt8(ascii: ":"))
        else { return [] }
        // What a module needs most deeply stands last in modules.dep.
        let needs = ConfigurationLine.words(of: line[(colon + 1)...])
        return needs.reversed() + [ByteString(line[..<colon])]
    }

    /// The names of the modules for devices that the kernel describes as `wanted`, or for aliases such as `fs-ext4`.
    public func names(for wanted: [ByteString]) -> [ByteString] {
        var names: [ByteString] = []
        let texts = wanted.map { Array($0.bytes) }
        _ = ModuleIndex.firstLine(of: aliases) { line in
            // `alias `, a pattern, and a name.
            let start = line.startIndex + 6
            guard line.count > 8, line[start - 1] == UInt8(ascii: " "),
                line[start - 6] == UInt8(ascii: "a"),
                texts.contains(where: { Glob.mayMatch($0, line[start...]) }),
                let blank = line.lastIndex(of: UInt8(ascii: " ")), blank > start
            else { return false }
            let pattern = Array(line[start..<blank])
            guard texts.contains(where: { Glob.matches($0[...], pattern[...]) }) else {
                return false
            }
            let name = ByteString(Array(line[(blank + 1)...]))
            if !names.contains(name) { names.append(name) }
            return false
        }
        return names
    }

    /// Where the first line is that `isWanted`. The files are long and read at every boot, so nothing is copied.
    private static func firstLine(
        of text: [UInt8], _ isWanted: (Slice<UnsafeBufferPointer<UInt8>>) -> Bool
    ) -> Range<Int>? {
        text.withUnsafeBufferPointer { bytes in
            var start = 0
            while start < bytes.count {
                let rest = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[start...])
                let end = start + (offset(of: UInt8(ascii: "\n"), in: rest) ?? rest.count)
                if isWanted(bytes[start..<end]) { return start..<end }
                start = end + 1
            }
            return nil
        }
    }

    /// The name of the module in a file: `virtio_net` for `kernel/drivers/net/virtio-net.ko.xz`.
    public static func name(ofFile file: ByteString) -> ByteString {
        normal(ByteString(file.lastComponent.bytes.prefix { $0 != UInt8(ascii: ".") }))
    }

    private static func isFile(_ path: Slice<UnsafeBufferPointer<UInt8>>, ofModule name: ByteString)
        -> Bool
    {
        let slash = path.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? path.startIndex
        let file = path[slash...]
        guard file.count > name.count, file[slash + name.count] == UInt8(ascii: ".") else {
            return false
        }
        return zip(file, name.bytes).allSatisfy {
            $0 == $1 || ($0 == UInt8(ascii: "-") && $1 == UInt8(ascii: "_"))
        }
    }

    /// The name as the kernel has it.
    public static func normal(_ name: ByteString) -> ByteString {
        ByteString(name.bytes.map { $0 == UInt8(ascii: "-") ? UInt8(ascii: "_") : $0 })
    }

    /// Whether the device that the kernel describes so is one that services wait for: of the network, or what stands
    /// for devices of the host. PCI's class 02 is the network's, its vendor 1AF4 virtio's.
    public static func isNeededFirst(_ device: ByteString) -> Bool {
        for bus in ["virtio:", "vmbus:", "xen:", "acpi:LNRO0005:", "pci:v00001AF4d"] as [ByteString]
        where device.hasPrefix(bus) { return true }
        guard device.hasPrefix("pci:") else { return false }
        let network = Array("bc02".utf8)
        return device.bytes.indices.contains { device.bytes[$0...].starts(with: network) }
    }

    /// The names in a list such as /etc/modules, and what follows each: its parameters.
    public static func list(_ text: [UInt8]) -> [(name: ByteString, parameters: ByteString)] {
        ConfigurationLine.all(in: text, comments: "#;").map { line in
            (line.words[0], ByteString(Array(line.words.dropFirst()), joinedBy: " "))
        }
    }
}

/// What an administrator says of modules: of modprobe.d(5) the lines `blacklist` and `options`, and `modprobe.blacklist=`
/// of the kernel's command line.
public struct ModuleRules: Sendable {
    /// The modules that are not loaded because a device is there.
    public private(set) var unwanted: [ByteString] = []
    private var options: [(name: ByteString, text: ByteString)] = []

    /// No rules.
    public init() {}

    /// Adds the lines of a file.
    public mutating func add(_ text: [UInt8]) {
        for line in ConfigurationLine.all(in: text) where line.words.count > 1 {
            let name = ModuleIndex.normal(line.words[1])
            switch line.words[0] {
            case "blacklist": unwanted.append(name)
            case "options":
                options.append((name, ByteString(Array(line.words.dropFirst(2)), joinedBy: " ")))
            default: break
            }
        }
    }

    /// Adds `name,name`.
    public mutating func forbid(_ list: ByteString) {
        unwanted += list.parts(separatedBy: UInt8(ascii: ",")).map { ModuleIndex.normal($0) }
    }

    /// Adds what a kernel's command line says: `MODULE.PARAMETER=VALUE`, by which the kernel sets those of the modules
    /// that are built into it.
    public mutating func add(_ commandLine: KernelCommandLine) {
        for word in commandLine.words {
            guard let (module, parameter) = word.name.cut(at: UInt8(ascii: ".")), !module.isEmpty,
                !parameter.isEmpty
            else { continue }
            var text = parameter
            if let value = word.value {
                let isParted = value.bytes.contains(UInt8(ascii: " "))
                text = isParted ? "\(parameter)=\"\(value)\"" : "\(parameter)=\(value)"
            }
            options.append((ModuleIndex.normal(module), text))
        }
    }

    /// The parameters of a module.
    public func parameters(of name: ByteString) -> ByteString {
        ByteString(options.compactMap { $0.name == name ? $0.text : nil }, joinedBy: " ")
    }
}

/// Patterns of the shell, without a special meaning of slashes: `*`, `?`, `[a-c]`, `[!x]`.
enum Glob {
    /// Whether `text` could match a line that begins with a pattern: whether it has what comes before the pattern's
    /// first wildcard.
    static func mayMatch(_ text: [UInt8], _ line: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        var index = line.startIndex
        for byte in text {
            guard index < line.endIndex else { return false }
            switch line[index] {
            case UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "["): return true
            case byte: index += 1
            default: return false
            }
        }
        return true
    }

    static func matches(_ text: ArraySlice<UInt8>, _ pattern: ArraySlice<UInt8>) -> Bool {
        var (text, pattern) = (text, pattern)
        // Where to go on when what follows the last star does not fit.
        var retry: (text: ArraySlice<UInt8>, pattern: ArraySlice<UInt8>)?
        while true {
            if let symbol = pattern.first {
                if symbol == UInt8(ascii: "*") {
                    pattern = pattern.dropFirst()
                    retry = (text, pattern)
                    continue
                }
                if let byte = text.first, let length = length(of: pattern, fitting: byte) {
                    text = text.dropFirst()
                    pattern = pattern.dropFirst(length)
                    continue
                }
            } else if text.isEmpty {
                return true
            }
            guard let again = retry, !again.text.isEmpty else { return false }
            retry = (again.text.dropFirst(), again.pattern)
            (text, pattern) = (again.text.dropFirst(), again.pattern)
        }
    }

    /// How long the first symbol of `pattern` is, if it fits `byte`.
    private static func length(of pattern: ArraySlice<UInt8>, fitting byte: UInt8) -> Int? {
        guard let symbol = pattern.first else { return nil }
        switch symbol {
        case UInt8(ascii: "?"): return 1
        case UInt8(ascii: "["):
            guard let close = pattern.dropFirst(2).firstIndex(of: UInt8(ascii: "]")) else {
                return byte == symbol ? 1 : nil
            }
            var set = pattern[(pattern.startIndex + 1)..<close]
            let isNegated = set.first == UInt8(ascii: "!") || set.first == UInt8(ascii: "^")
            if isNegated { set = set.dropFirst() }
            var fits = false
            while let low = set.first {
                let isRange = set.count > 2 && set[set.startIndex + 1] == UInt8(ascii: "-")
                let high = isRange ? set[set.startIndex + 2] : low
                if low <= high && (low...high).contains(byte) { fits = true }
                set = set.dropFirst(isRange ? 3 : 1)
            }
            return fits != isNegated ? close - pattern.startIndex + 1 : nil
        default: return symbol == byte ? 1 : nil
        }
    }
}
