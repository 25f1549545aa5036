import Bytes
import Commands
import Formats
import Linux

/// Brings up the loopback interface, and those with a static address.
struct Network {
    private let messages: Messages
    private let settings: NetworkSettings

    /// Reads `ip=` of the kernel's command line, or else /etc/network/interfaces.
    init(_ commandLine: KernelCommandLine, _ messages: Messages) {
        self.messages = messages
        var settings = NetworkSettings()
        let parameters = commandLine.values(of: "ip")
        for parameter in parameters where !settings.add(kernelParameter: parameter) {
            messages.warning(
                "ip=\(parameter.excerpt) on the kernel's command line is not understood")
        }
        for server in commandLine.values(of: "nameserver") {
            if let address = IPAddress(server.bytes) { settings.nameServers.append(address) }
        }
        if parameters.isEmpty {
            Network.read("/etc/network/interfaces", &settings, messages, depth: 0)
        }
        self.settings = settings
    }

    /// The machine's name, if an `ip=` has it.
    static func hostName(_ commandLine: KernelCommandLine) -> ByteString? {
        var settings = NetworkSettings()
        for parameter in commandLine.values(of: "ip") {
            _ = settings.add(kernelParameter: parameter)
        }
        return settings.hostName
    }

    private static func read(
        _ path: ByteString, _ settings: inout NetworkSettings, _ messages: Messages, depth: Int
    ) {
        guard let text = SmallFiles.read(path, messages) else { return }
        let (complaints, sources) = settings.add(interfaces: text)
        for complaint in complaints {
            messages.warning("\(path): line \(complaint.line): \(complaint.text)")
        }
        guard depth == 0 else { return }
        for source in sources {
            // Of patterns, the one that Debian's file has.
            let isPattern = source.bytes.suffix(2).elementsEqual("/*".utf8)
            guard isPattern else {
                read(source, &settings, messages, depth: 1)
                continue
            }
            let directory = ByteString(source.bytes.dropLast(2))
            for name in SmallFiles.list(directory) {
                read("\(directory)/\(name)", &settings, messages, depth: 1)
            }
        }
    }

    /// Sets everything up; what fails is said, and the rest goes on.
    func perform() {
        do throws(SystemError) {
            let socket = try RouteSocket()
            ask(socket, RouteMessage.up(interface: 1), "bring up the loopback interface")
            for interface in settings.interfaces { perform(interface, socket) }
            for name in settings.dynamic {
                guard let (name, index) = find(name) else { continue }
                ask(socket, RouteMessage.up(interface: index), "bring up \(name)")
            }
        } catch { messages.warning("unable to configure the network", error.errno) }
        writeResolver()
    }

    private func perform(_ interface: NetworkSettings.Interface, _ socket: borrowing RouteSocket) {
        guard let (name, index) = find(interface.name) else {
            messages.warning(
                "there is no network interface \(interface.name.isEmpty ? "at all" : interface.name.excerpt)"
            )
            return
        }
        for address in interface.addresses {
            let text = ByteString(address.address.text)
            ask(
                socket, RouteMessage.address(address, interface: index),
                "give \(name) the address \(text)")
        }
        ask(
            socket, RouteMessage.up(interface: index, packetSize: interface.packetSize),
            "bring up \(name)")
        for gateway in interface.gateways {
            let isOnLink = !interface.addresses.contains { $0.contains(gateway) }
            ask(
                socket,
                RouteMessage.defaultRoute(through: gateway, interface: index, isOnLink: isOnLink),
                "route through \(ByteString(gateway.text))")
        }
    }

    private func ask(_ socket: borrowing RouteSocket, _ request: [UInt8], _ what: ByteString) {
        do throws(SystemError) {
            let code = RouteMessage.error(in: try socket.ask(request)) ?? 0
            if code != 0 { messages.warning("unable to \(what)", Errno(code)) }
        } catch { messages.warning("unable to \(what)", error.errno) }
    }

    /// An interface and its number; without a name, the first one that is no loopback.
    private func find(_ wanted: ByteString) -> (ByteString, Int32)? {
        let directory: ByteString = "/sys/class/net"
        for name in SmallFiles.list(directory) where wanted.isEmpty ? name != "lo" : name == wanted
        {
            do throws(SystemError) {
                let text = try contents(of: "\(directory)/\(name)/ifindex", limit: 32)
                return (name, Int32(truncatingIfNeeded: scanDecimal(text).value))
            } catch {}
        }
        return nil
    }

    /// A file that somebody wrote by hand stays when the settings name no server.
    private func writeResolver() {
        guard let text = settings.resolverConfiguration else { return }
        do throws(Failure) {
            let temporary: ByteString = "/etc/resolv.conf.tmp"
            try publish(createFile(temporary), text, temporary, as: "/etc/resolv.conf")
        } catch { messages.warning(error.text, error.errno) }
    }
}
