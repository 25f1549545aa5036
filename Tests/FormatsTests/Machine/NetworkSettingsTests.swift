import Bytes
import Formats
import Testing

@Suite("The network at boot")
struct NetworkSettingsTests {
    private func address(_ text: String) -> IPAddress? { IPAddress(Array(text.utf8)[...]) }

    private func parameter(_ text: String) -> NetworkSettings? {
        var settings = NetworkSettings()
        return settings.add(kernelParameter: ByteString(text)) ? settings : nil
    }

    @Test("ip= in full")
    func full() throws {
        let settings = try #require(
            parameter(
                "192.0.2.5:192.0.2.9:192.0.2.1:255.255.255.128:swift:eth1:off:192.0.2.2:[2001:db8::2]"
            ))
        #expect(settings.interfaces.count == 1 && settings.dynamic == [])
        let interface = settings.interfaces[0]
        #expect(interface.name == "eth1")
        #expect(interface.addresses.map { $0.length } == [25])
        #expect(interface.addresses.first?.address == address("192.0.2.5"))
        #expect(interface.gateways == [address("192.0.2.1")])
        #expect(settings.hostName == "swift")
        #expect(settings.nameServers == [address("192.0.2.2"), address("2001:db8::2")])
    }

    @Test("ip= with little")
    func little() {
        #expect(parameter("10.1.2.3")?.interfaces.first?.addresses.first?.length == 8)
        #expect(parameter("172.16.2.3::::::")?.interfaces.first?.addresses.first?.length == 16)
        #expect(parameter("192.168.2.3")?.interfaces.first?.addresses.first?.length == 24)
        #expect(parameter("192.168.2.3/30")?.interfaces.first?.addresses.first?.length == 30)
        #expect(parameter("192.168.2.3:::20")?.interfaces.first?.addresses.first?.length == 20)
        #expect(parameter("192.168.2.3")?.interfaces.first?.name == "")
        #expect(parameter("off") == NetworkSettings())
        #expect(parameter("none") == NetworkSettings())
    }

    @Test("IPv6 stands in brackets")
    func brackets() throws {
        let settings = try #require(
            parameter("[2001:db8::5]::[2001:db8::1]:64::eth0:none:[2001:db8::53]"))
        #expect(settings.interfaces[0].addresses[0].address == address("2001:db8::5"))
        #expect(settings.interfaces[0].addresses[0].length == 64)
        #expect(settings.nameServers == [address("2001:db8::53")])
    }

    @Test("a DHCP client is for others to run", arguments: ["dhcp", "on", "any", "::::::dhcp"])
    func dynamic(text: String) { #expect(parameter(text)?.dynamic == [""]) }

    @Test("or for one interface")
    func dynamicInterface() {
        #expect(parameter("eth1:dhcp")?.dynamic == ["eth1"])
        #expect(parameter(":::::eth1:dhcp")?.dynamic == ["eth1"])
    }

    @Test(
        "what is none is refused",
        arguments: [
            "", "x", "1.2.3", "1.2.3.4:::255.0.255.0", "1.2.3.4:::33", "1.2.3.4::x",
            "1.2.3.4::::::x:y",
            "::::::nonsense", "eth0:nonsense",
        ])
    func refused(text: String) { #expect(parameter(text) == nil) }

    @Test("what makes no sense in an interfaces(5) file is told with its line, and the rest holds")
    func nonsense() {
        var settings = NetworkSettings()
        let (complaints, _) = settings.add(
            interfaces: Array(
                """
                auto eth0
                iface eth0 inet static
                    address 999.1.1.1/99
                    address 192.0.2.10/24
                    gateway x
                    mtu 12
                    dns-nameservers 192.0.2.2 y
                iface eth0 inet static
                    address 192.0.2.11
                    netmask 255.0.255.0
                iface eth0 inet6 static
                    mtu 1400
                    address 2001:db8::10/129
                """.utf8))
        #expect(
            complaints.map { "\($0.line): \(String(decoding: $0.text.bytes, as: UTF8.self))" } == [
                "5: x is no address", "6: 12 is no mtu", "7: y is no address",
                "3: 999.1.1.1/99 is no address",
                "9: 192.0.2.11 is no address with the mask 255.0.255.0",
                "13: 2001:db8::10/129 is no address",
            ])
        #expect(settings.interfaces.map { $0.addresses.map { $0.length } } == [[24]])
        #expect(settings.interfaces[0].packetSize == 1400)
        #expect(settings.nameServers.count == 1)
    }

    @Test("an interfaces(5) file")
    func file() {
        var settings = NetworkSettings()
        let (complaints, sources) = settings.add(
            interfaces: Array(
                """
                source /etc/network/interfaces.d/*
                auto lo eth0
                allow-hotplug eth2
                iface lo inet loopback
                iface eth0 inet static
                    address 192.0.2.10
                    netmask 255.255.255.0
                    gateway 192.0.2.1
                    dns-nameservers 192.0.2.2 2001:db8::2
                    dns-search example.org
                    mtu 1400
                iface eth0 inet6 static
                    address 2001:db8::10/64
                    up echo hello
                iface eth1 inet static
                    address 198.51.100.1/24
                iface eth2 inet dhcp
                iface eth3 inet ppp
                """.utf8))
        #expect(sources == ["/etc/network/interfaces.d/*"])
        #expect(complaints.map { $0.line } == [14, 18])
        #expect(settings.interfaces.map { $0.name } == ["eth0"])
        #expect(settings.interfaces[0].addresses.map { $0.length } == [24, 64])
        #expect(settings.interfaces[0].packetSize == 1400)
        #expect(settings.dynamic == ["eth2"])
        #expect(
            settings.resolverConfiguration.map { String(decoding: $0, as: UTF8.self) }
                == "search example.org\nnameserver 192.0.2.2\nnameserver 2001:db8::2\n")
    }

    @Test("without a server there is nothing to write")
    func noServer() { #expect(NetworkSettings().resolverConfiguration == nil) }

    @Test("requests to the kernel, byte by byte")
    func messages() throws {
        #expect(
            RouteMessage.up(interface: 2) == [
                32, 0, 0, 0, 16, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,
            ])
        #expect(
            RouteMessage.up(interface: 2, packetSize: 1400).suffix(8) == [
                8, 0, 4, 0, 0x78, 5, 0, 0,
            ])
        let four = try #require(NetworkSettings.Address("192.0.2.5/24"))
        #expect(
            RouteMessage.address(four, interface: 3) == [
                48, 0, 0, 0, 20, 0, 5, 5, 0, 0, 0, 0, 0, 0, 0, 0,
                2, 24, 0, 0, 3, 0, 0, 0,
                8, 0, 2, 0, 192, 0, 2, 5, 8, 0, 1, 0, 192, 0, 2, 5, 8, 0, 4, 0, 192, 0, 2, 255,
            ])
        let six = try #require(NetworkSettings.Address("2001:db8::5/64"))
        #expect(RouteMessage.address(six, interface: 3).count == 24 + 20 + 20 + 8)
        let gateway = try #require(address("192.0.2.1"))
        #expect(
            RouteMessage.defaultRoute(through: gateway, interface: 3, isOnLink: true) == [
                44, 0, 0, 0, 24, 0, 5, 5, 0, 0, 0, 0, 0, 0, 0, 0,
                2, 0, 0, 0, 254, 3, 0, 1, 4, 0, 0, 0,
                8, 0, 5, 0, 192, 0, 2, 1, 8, 0, 4, 0, 3, 0, 0, 0,
            ])
    }

    @Test("answers of the kernel")
    func answers() {
        let head: [UInt8] = [36, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        #expect(RouteMessage.error(in: head + [0, 0, 0, 0]) == 0)
        #expect(RouteMessage.error(in: head + [0xef, 0xff, 0xff, 0xff]) == 17)
        #expect(RouteMessage.error(in: head) == nil)
        #expect(RouteMessage.error(in: []) == nil)
    }

    @Test("an address is in its network or not")
    func containing() throws {
        let network = try #require(NetworkSettings.Address("192.0.2.5/24"))
        #expect(network.contains(try #require(address("192.0.2.77"))))
        #expect(!network.contains(try #require(address("192.0.3.1"))))
        #expect(!network.contains(try #require(address("::1"))))
    }
}
