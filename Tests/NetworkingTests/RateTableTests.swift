import Formats
import Testing

@testable import Networking

@Suite struct RateTableTests {
    private let second: UInt64 = 1_000_000_000

    private func rate(_ text: String) -> Rate {
        Array(text.utf8).withUnsafeBytes { Rate($0[...]) }
    }

    private func address(_ number: UInt32) -> IPAddress { IPAddress(ipv4: 0x0A00_0000 + number) }

    @Test("A burst of the whole count is let in, then one for each part of the time")
    func bucket() {
        let table = RateTable()
        let rate = rate("4/60")
        let start = 1000 * second
        #expect(
            (0..<6).map { _ in table.take(address(1), rate, now: start) }
                == [true, true, true, true, false, false])
        #expect(!table.take(address(1), rate, now: start + 14 * second))
        #expect(table.take(address(1), rate, now: start + 15 * second))
        #expect(!table.take(address(1), rate, now: start + 16 * second))
        #expect(
            (0..<5).map { _ in table.take(address(1), rate, now: start + 200 * second) }
                == [true, true, true, true, false])
    }

    @Test("Networks do not share a bucket, addresses of one network do")
    func networks() {
        let table = RateTable()
        #expect(table.take(address(1), rate("1/9"), now: second))
        #expect(table.take(address(2), rate("1/9"), now: second))
        #expect(!table.take(address(1), rate("1/9"), now: second))
        #expect(table.take(address(257), rate("1/9/24"), now: second))
        #expect(!table.take(address(511), rate("1/9/24"), now: second))
        let host = IPAddress(high: 1, low: 1)
        let neighbour = IPAddress(high: 1, low: 2)
        #expect(table.take(host, rate("1/9"), now: second))
        #expect(!table.take(neighbour, rate("1/9"), now: second))
        #expect(table.take(neighbour, rate("1/9/32/128"), now: second))
    }

    @Test("A rate is read as it is meant, and denies when it is nonsense")
    func reading() {
        #expect(rate("5/10").text == "5/10")
        #expect(rate("5").text == "5/1")
        #expect(rate("5/0").text == "5/1")
        #expect(rate("x").text == "0/1")
        #expect(!RateTable().take(address(1), rate("nonsense"), now: second))
        #expect(RateTable().take(address(1), rate("99999999999999999999/999999999999"), now: 0))
    }

    @Test("A flood of other clients does not free the one that keeps coming")
    func flood() {
        let table = RateTable()
        let rate = rate("2/3600")
        var letIn = 0
        for number in 0..<100_000 as Range<UInt32> {
            let now = second + UInt64(number) * 1000
            _ = table.take(address(number % 25_000 + 10), rate, now: now)
            if number % 100 == 0 && table.take(address(1), rate, now: now) { letIn += 1 }
        }
        // There are six times more of the others than places; each may push it out, not for long.
        #expect(letIn < 500)
    }
}
