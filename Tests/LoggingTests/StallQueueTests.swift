import Bytes
import Commands
import Testing

@testable import Logging

@Suite("The queue before a stalled log")
struct StallQueueTests {
    private static let capacity = StallQueue.leastCapacity

    private func add(_ bytes: [UInt8], _ queue: inout StallQueue) {
        bytes.withUnsafeBytes { queue.add($0) }
    }

    private func take(_ queue: inout StallQueue, room: Int = 65536, isLast: Bool = false) -> String
    {
        var target = [UInt8](repeating: 0, count: room)
        let count = target.withUnsafeMutableBytes {
            queue.take(into: $0, isLast: isLast) { Array("<\($0.lines)/\($0.bytes)>\n".utf8) }
        }
        return String(decoding: target[..<count], as: UTF8.self)
    }

    @Test("whole lines come out, the rest when the input ends or the line is long")
    func order() throws {
        var queue = try StallQueue(capacity: 0)
        add(Array("one\ntwo\nthr".utf8), &queue)
        #expect(take(&queue) == "one\ntwo\n")
        #expect(take(&queue) == "")
        add(Array("ee".utf8), &queue)
        #expect(take(&queue) == "")
        #expect(take(&queue, isLast: true) == "three")
        add([UInt8](repeating: UInt8(ascii: "x"), count: 300), &queue)
        #expect(take(&queue, room: 256) == String(repeating: "x", count: 256))
        #expect(take(&queue, room: 256) == "")
        #expect(queue.count == 44)
        #expect(queue.loss == StallQueue.Loss())
    }

    @Test("when it is full the oldest lines go, and a report stands in their place")
    func drop() throws {
        var queue = try StallQueue(capacity: 0)
        let line = [UInt8](repeating: UInt8(ascii: "x"), count: 999) + [10]
        for _ in 0..<(StallQueueTests.capacity / 1000) { add(line, &queue) }
        #expect(queue.loss.lines == 0)
        add(line, &queue)
        add(Array("last\n".utf8), &queue)
        #expect(queue.loss == StallQueue.Loss(lines: 1, bytes: 1000))
        #expect(take(&queue).hasPrefix("<1/1000>\nxxx"))
        #expect(queue.unreported == StallQueue.Loss())
        var rest = ""
        while queue.count > 0 { rest += take(&queue) }
        #expect(rest.hasSuffix("x\nlast\n") && !rest.contains("<"))
    }

    @Test("a line of which a part is out is ended before the report")
    func cutLine() throws {
        var queue = try StallQueue(capacity: 0)
        add([UInt8](repeating: UInt8(ascii: "a"), count: 100_000), &queue)
        #expect(take(&queue) == String(repeating: "a", count: 65536))
        add(Array("\n".utf8), &queue)
        add(
            [UInt8](repeating: UInt8(ascii: "b"), count: StallQueueTests.capacity - 1) + [10],
            &queue)
        #expect(queue.loss == StallQueue.Loss(lines: 1, bytes: 100_000 - 65536 + 1))
        #expect(take(&queue).hasPrefix("\n<1/34465>\nbbb"))
    }

    @Test("a line longer than the queue is dropped to its end")
    func hugeLine() throws {
        var queue = try StallQueue(capacity: 0)
        for _ in 0..<10 { add([UInt8](repeating: UInt8(ascii: "c"), count: 65536), &queue) }
        add(Array("cc\nnext\n".utf8), &queue)
        #expect(take(&queue) == "<1/\(655_360 + 3)>\nnext\n")
        #expect(queue.loss == StallQueue.Loss(lines: 1, bytes: 655_363))
    }

    @Test(
        "lines that go in come out, or are counted, whatever the order of events", arguments: 0..<20
    )
    func nothingIsForgotten(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        var queue = try StallQueue(capacity: 0)
        var added = 0
        var output = ""
        for number in 0..<3000 {
            let padding = Int.random(in: 0...[10, 400, 3000][seed % 3], using: &generator)
            let line = "\(number) " + String(repeating: "y", count: padding) + "\n"
            added += line.utf8.count
            let cut = Int.random(in: 0...line.utf8.count, using: &generator)
            add(Array(line.utf8.prefix(cut)), &queue)
            add(Array(line.utf8.dropFirst(cut)), &queue)
            if Int.random(in: 0..<40, using: &generator) == 0 { output += take(&queue) }
        }
        while queue.count > 0 { output += take(&queue, isLast: true) }
        var expected = 0
        var bytes = 0
        for line in output.split(separator: "\n") {
            if line.hasPrefix("<") {
                let lines = line.dropFirst().prefix { $0 != "/" }
                expected += Int(lines) ?? 0
            } else {
                #expect(Int(line.prefix { $0 != " " }) == expected)
                expected += 1
                bytes += line.utf8.count + 1
            }
        }
        #expect(expected == 3000)
        #expect(bytes + queue.loss.bytes == added)
    }
}
