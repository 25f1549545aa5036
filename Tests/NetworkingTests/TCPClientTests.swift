import Bytes
import Commands
import Formats
import Linux
import Networking
import Testing

@Suite("tcpclient")
struct TCPClientTests {
    @Test("-T takes X+Y, and anything else as the original does")
    func timeouts() {
        let cases: [(ByteString, UInt, UInt)] = [
            ("2+58", 2, 58), ("7", 7, 0), ("7+", 7, 0), ("+7", 0, 7), ("", 0, 0), ("7x9", 7, 0),
            ("7++9", 7, 0), ("0+1", 0, 1), ("-1", 0, 0),
        ]
        for (text, first, second) in cases {
            #expect(TCPClientOptions.timeouts(text) == (first, second))
        }
    }

    @Test("-i takes four numbers and anything after them, or an IPv6 address")
    func localAddress() {
        let good: [(ByteString, String)] = [
            ("127.0.0.1", "127.0.0.1"), ("127.0.0.1xyz", "127.0.0.1"), ("1.2.3.4.5", "1.2.3.4"),
            ("257.0.0.010", "1.0.0.10"), ("::1", "::1"), ("2001:DB8:0::7", "2001:db8::7"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
        ]
        for (text, address) in good {
            let parsed = TCPClientOptions.address(text).map {
                String(decoding: $0.text, as: UTF8.self)
            }
            #expect(parsed == address)
        }
        for text: ByteString in ["", "1", "1.2.3", "1.2.3.", "1..2.3", "a.b.c.d", "::g", "[::1]"] {
            #expect(TCPClientOptions.address(text) == nil)
        }
    }

    private func failure(_ call: String, _ errno: Errno, _ options: TCPClientOptions) -> Failure? {
        let seam = Seam()
        seam.fail(call, with: errno)
        return seam.during {
            do throws(Failure) {
                _ = try TCPClient(options, Messages(program: "test")).connect()
                return nil
            } catch { return error }
        }
    }

    @Test("What fails before the connection is attempted ends it")
    func failures() throws {
        var options = TCPClientOptions(host: "127.0.0.1", port: "1")
        options.common.verbosity = .silent
        options.localPort = 1
        let noSocket = try #require(failure("socket", .tooManyDescriptors, options))
        #expect(noSocket.text == "unable to create socket" && noSocket.exitCode == 111)
        #expect(noSocket.errno == .tooManyDescriptors)
        let taken = try #require(failure("bind", .accessDenied, options))
        #expect(taken.text == "unable to bind socket" && taken.errno == .accessDenied)
    }

    @Test("A connection that fails is no error, but nil")
    func refused() {
        var options = TCPClientOptions(host: "127.0.0.1.127.0.0.2", port: "1")
        options.common.verbosity = .silent
        for errno in [Errno.timedOut, .accessDenied] {
            let seam = Seam()
            seam.fail("connect", with: errno, times: 9)
            let isNil = seam.during {
                do throws(Failure) {
                    guard try TCPClient(options, Messages(program: "test")).connect() != nil else {
                        return true
                    }
                    return false
                } catch { return false }
            }
            #expect(isNil)
            // Only a time-out is tried again.
            let attempts = seam.trace.filter { $0 == "connect" }.count
            #expect(attempts == (errno == .timedOut ? 4 : 2))
        }
    }
}
