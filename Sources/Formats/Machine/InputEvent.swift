/// What an input device of the kernel, /dev/input/event0 say, tells, in records of 24 bytes.
public enum InputEvent {
    /// How long a record is on a 64-bit machine; a shorter read is refused.
    public static let size = 24

    /// Whether the power key was pressed: EV_KEY, KEY_POWER, 1.
    public static func isPowerPressed(in bytes: ArraySlice<UInt8>) -> Bool {
        var rest = bytes
        while rest.count >= size {
            let event = rest.prefix(size)
            rest = rest.dropFirst(size)
            // After the time, of 16 bytes: type, code, value.
            if event.dropFirst(16).elementsEqual([1, 0, 116, 0, 1, 0, 0, 0]) { return true }
        }
        return false
    }
}
