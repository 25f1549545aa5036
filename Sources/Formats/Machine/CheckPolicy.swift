/// Whether a file system wants to be checked before it is mounted, by what its superblock says.
public enum CheckPolicy {
    /// `start` is the beginning of the volume, `now` the time in seconds since 1970. Only ext2 to ext4 say so; all others
    /// keep themselves in order. A journal that is to be replayed is the kernel's work.
    public static func isDue(_ start: [UInt8], at now: Int64) -> Bool {
        guard start.count >= 1024 + 0x60, start[0x438] == 0x53, start[0x439] == 0xef else {
            return false
        }
        func number(_ offset: Int, _ size: Int) -> Int64 {
            (0..<size).reduce(Int64(0)) { $0 | Int64(start[1024 + offset + $1]) << Int64($1 * 8) }
        }
        let state = number(0x3a, 2)
        let isClean = state & 1 != 0
        let hasErrors = state & 2 != 0
        let hasJournal = number(0x5c, 4) & 4 != 0
        if hasErrors || !isClean && !hasJournal { return true }
        let (mounts, mountLimit) = (number(0x34, 2), number(0x36, 2))
        if mountLimit != 0 && mountLimit != 0xffff && mounts >= mountLimit { return true }
        let (checked, interval) = (number(0x40, 4), number(0x44, 4))
        return interval != 0 && now >= checked + interval
    }
}
