import Bytes
import Commands
import Formats
import Linux

/// Loads the kernel's modules: those on lists, and those for the devices that are there.
struct ModuleLoader {
    private let messages: Messages
    private let directory: ByteString
    private let index: ModuleIndex
    private var rules = ModuleRules()
    /// What is loaded, or was tried.
    private var known: Set<ByteString> = []
    /// The devices that have been looked at, as the kernel describes them.
    private var described: Set<ByteString> = []

    /// Nil when the running kernel has no modules here.
    init?(_ commandLine: KernelCommandLine, _ messages: Messages) {
        self.messages = messages
        do throws(SystemError) {
            directory = try "/lib/modules/\(kernelRelease())"
            index = ModuleIndex(
                dependencies: try contents(of: "\(directory)/modules.dep", limit: SmallFiles.limit),
                aliases: try contents(of: "\(directory)/modules.alias", limit: SmallFiles.limit))
        } catch { return nil }
        for path in SmallFiles.configuration("modprobe.d") {
            if let text = SmallFiles.read(path, messages) { rules.add(text) }
        }
        rules.add(commandLine)
        for list in commandLine.values(of: "modprobe.blacklist") { rules.forbid(list) }
    }

    /// Loads what /etc/modules and modules-load.d(5) list.
    mutating func loadListed() {
        for path in ["/etc/modules"] + SmallFiles.configuration("modules-load.d") {
            for (name, parameters) in ModuleIndex.list(SmallFiles.read(path, messages) ?? []) {
                if !load(name, parameters: parameters) {
                    messages.warning("\(path): there is no module \(name.excerpt)")
                }
            }
        }
    }

    /// Loads what the devices want that are there, or only those that services wait for; a driver may find further
    /// devices.
    mutating func loadForDevices(onlyFirst: Bool = false) {
        while true {
            var new = ModuleLoader.devices().subtracting(described)
            if onlyFirst { new = new.filter { ModuleIndex.isNeededFirst($0) } }
            if new.isEmpty { return }
            described.formUnion(new)
            for name in index.names(for: Array(new)) where !rules.unwanted.contains(name) {
                load(name)
            }
        }
    }

    /// Loads what is called so, a module or what an alias such as `fs-vfat` stands for; whether there is one.
    @discardableResult
    mutating func load(_ name: ByteString, parameters: ByteString = "") -> Bool {
        var name = ModuleIndex.normal(name)
        var files = index.files(ofModule: name)
        if files.isEmpty {
            guard let meant = index.names(for: [name]).first else { return isBuiltIn(name) }
            name = meant
            files = index.files(ofModule: name)
        }
        for file in files {
            loadFile(file, ModuleIndex.name(ofFile: file) == name ? parameters : "")
        }
        return true
    }

    private mutating func loadFile(_ file: ByteString, _ parameters: ByteString) {
        let name = ModuleIndex.name(ofFile: file)
        guard known.insert(name).inserted else { return }
        let given = rules.parameters(of: name)
        do throws(SystemError) {
            try loadKernelModule(
                "\(directory)/\(file)",
                parameters: given.isEmpty ? parameters : "\(given) \(parameters)")
        } catch {
            // The device is not one of the driver's after all.
            if error.errno != .noDevice {
                messages.warning("unable to load module \(name)", error.errno)
            }
        }
    }

    private func isBuiltIn(_ name: ByteString) -> Bool {
        do throws(SystemError) {
            // One without parameters is only on the list.
            if try exists("/sys/module/\(name)") { return true }
            let list = try contents(of: "\(directory)/modules.builtin", limit: SmallFiles.limit)
            return list.split(separator: UInt8(ascii: "\n")).contains {
                ModuleIndex.name(ofFile: ByteString($0)) == name
            }
        } catch { return false }
    }

    /// What the kernel says of each device that some module might drive.
    private static func devices() -> Set<ByteString> {
        var found: Set<ByteString> = []
        for bus in SmallFiles.list("/sys/bus") {
            // Processors and memory are many, and want nothing that a small machine needs.
            if bus == "cpu" || bus == "memory" || bus == "node" { continue }
            for device in SmallFiles.list("/sys/bus/\(bus)/devices") {
                do throws(SystemError) {
                    let text = try contents(
                        of: "/sys/bus/\(bus)/devices/\(device)/modalias", limit: 4096)
                    let alias = ByteString(text.prefix { $0 != UInt8(ascii: "\n") })
                    if !alias.isEmpty { found.insert(alias) }
                } catch {}
            }
        }
        return found
    }
}
