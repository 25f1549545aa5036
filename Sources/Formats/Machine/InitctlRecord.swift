import Bytes

/// A request of the programs of sysvinit to process 1, on the FIFO /run/initctl: 384 bytes in the machine's order.
public struct InitctlRecord: Equatable, Sendable {
    /// How long a record is.
    public static let size = 384

    /// The runlevel asked for, an ASCII character: `0` is off, `6` is reboot.
    public let runlevel: UInt8

    /// Reads a record; nil unless it asks for a runlevel.
    public init?(_ bytes: ArraySlice<UInt8>) {
        guard bytes.count == InitctlRecord.size else { return nil }
        func word(_ index: Int) -> UInt32 {
            (0..<4).reduce(0) {
                $0 | UInt32(bytes[bytes.startIndex + index * 4 + $1]) << UInt32($1 * 8)
            }
        }
        guard word(0) == 0x0309_1969, word(1) == 1, let level = UInt8(exactly: word(2)) else {
            return nil
        }
        runlevel = level
    }
}
