import Formats
import Services

/// What a supervisor leaves to the next image of itself, for tests that read anything as that.
enum JournalFormat: String, CaseIterable {
    case journal

    /// Reads `bytes` as an entry, and as a chain of entries; an entry that is read is written as it was.
    func take(_ bytes: [UInt8]) {
        if let entry = JournalFormat.entry(bytes[...]) {
            precondition(JournalFormat.entry(entry.bytes[...]) == entry, "another entry")
        }
        // The check of the only record that would fit.
        let content = bytes.dropFirst(RecordChain.headerSize)
        let check = RecordChain.check(content, after: RecordChain.start)
        for chain in [bytes, RecordChain.header(content.count, check: check) + content] {
            do throws(RecordChain.Damaged) {
                let found = try RecordChain.contents(of: chain[...], endingWith: check)
                let size = found.reduce(0) { $0 + $1.count + RecordChain.headerSize }
                precondition(size == chain.count, "bytes of no record")
            } catch {}
        }
        do throws(SnapshotError) { _ = try Conductor(snapshot: bytes) } catch {}
    }

    private static func entry(_ bytes: ArraySlice<UInt8>) -> JournalEntry? {
        do throws(SnapshotError) { return try JournalEntry(bytes) } catch { return nil }
    }
}
