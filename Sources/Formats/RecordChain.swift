/// Records one after another in memory that outlives a fault of the process that writes them. Each is its length and a
/// check, 4 bytes each, and its content. A check covers the one before it too, so that no record can be missing, and
/// whoever knows the last check and where it ends knows that all are as they were written.
public enum RecordChain {
    /// The bytes before the content of a record.
    public static let headerSize = 8
    /// The check before the first record.
    public static let start: UInt32 = 0x811c_9dc5

    /// What is read is not what was written.
    public struct Damaged: Error, Equatable {
        /// An error that says no more.
        public init() {}
    }

    /// The check of a record with that content after one with the check `previous`. FNV-1a, which notices a byte that
    /// was not written; it is no protection against somebody who wants in.
    public static func check(_ content: some Collection<UInt8>, after previous: UInt32) -> UInt32 {
        let size = UInt32(truncatingIfNeeded: content.count)
        var check = (previous ^ size) &* 0x0100_0193
        for byte in content { check = (check ^ UInt32(byte)) &* 0x0100_0193 }
        return check
    }

    /// The header of a record with that content.
    public static func header(_ size: Int, check: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        for number in [UInt32(truncatingIfNeeded: size), check] {
            for shift in [0, 8, 16, 24] as [UInt32] {
                bytes.append(UInt8(truncatingIfNeeded: number >> shift))
            }
        }
        return bytes
    }

    /// The contents of all records, which fill `bytes` and end with the check `last`.
    public static func contents(of bytes: ArraySlice<UInt8>, endingWith last: UInt32)
        throws(Damaged) -> [ArraySlice<UInt8>]
    {
        var found: [ArraySlice<UInt8>] = []
        var rest = bytes
        var check = start
        while !rest.isEmpty {
            guard rest.count >= headerSize else { throw Damaged() }
            let size = Int(number(rest.prefix(4)))
            let told = number(rest.dropFirst(4).prefix(4))
            rest = rest.dropFirst(headerSize)
            guard size <= rest.count else { throw Damaged() }
            let content = rest.prefix(size)
            check = RecordChain.check(content, after: check)
            guard check == told else { throw Damaged() }
            found.append(content)
            rest = rest.dropFirst(size)
        }
        guard check == last else { throw Damaged() }
        return found
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
}
