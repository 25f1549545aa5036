import Bytes
import Formats
import Testing

@Suite("fstab, and what is mounted")
struct FileSystemTableTests {
    @Test("a line has six fields, the last ones left out perhaps")
    func entries() {
        let table = FileSystemTable(
            Array(
                """
                # comment
                UUID=aB-1 / ext4 errors=remount-ro,noatime 0 1
                /dev/vdb\t/srv/a\\040b\txfs
                /dev/vdc none swap sw,pri=5 0 0
                /dev/vdd swap swap
                tmpfs /tmp tmpfs nosuid,size=10% 0
                """.utf8))
        #expect(table.wrongLines == [])
        #expect(table.entries.map { $0.line } == [2, 3, 4, 5, 6])
        #expect(table.entries.map { $0.target } == ["/", "/srv/a b", "none", "swap", "/tmp"])
        #expect(table.entries.map { $0.pass } == [1, 0, 0, 0, 0])
        #expect(table.entries.map { $0.isSwap } == [false, false, true, true, false])
        #expect(table.entries[0].isRoot && !table.entries[1].isRoot)
        #expect(table.entries[0].options.flags == .noAccessTime)
        #expect(table.entries[0].options.data == "errors=remount-ro")
        #expect(table.entries[2].options.swapPriority == 5)
        #expect(table.entries[4].options.data == "size=10%")
    }

    @Test(
        "a wrong line is left out, and named",
        arguments: [
            "/dev/vdb", "/dev/vdb /mnt", "/dev/vdb mnt ext4", "/dev/vdb /mnt ext4 ro 0 x",
            "a b c 0 0 -1",
        ])
    func wrong(text: String) {
        let table = FileSystemTable(Array("\n\(text)\nnone /proc proc\n".utf8))
        #expect(table.wrongLines == [2])
        #expect(table.entries.count == 1)
    }

    @Test("options are flags, words for whoever reads the table, and the file system's own")
    func options() {
        let options = MountOptions(
            "defaults,,ro,nofail,noauto,x-a.b=c,comment=d,_netdev,uid=0,exec,noexec,rw,discard")
        #expect(options.flags == .noExecution)
        #expect(options.mayFail && options.isNoAuto)
        #expect(options.data == "uid=0,discard")
        #expect(MountOptions("rbind").flags == [.bind, .recursive])
        #expect(MountOptions("").flags == [])
    }

    private static let mountInfo = """
        22 1 259:0 / / rw,relatime - ext4 /dev/root rw,errors=continue
        23 22 0:21 / /proc rw shared:1 - proc proc rw
        24 22 0:5 / /dev rw,nosuid - devtmpfs /dev/x rw
        25 24 0:22 / /dev/pts rw - devpts devpts rw
        30 22 8:1 / /srv/a\\040b ro,relatime master:1 shared:2 - ext4 /dev/sda1 rw
        31 22 8:2 / /mnt rw - vfat /dev/sda2 ro
        32 30 259:0 /var /srv/a\\040b rw - ext4 /dev/root rw
        nonsense
        """

    @Test("mountinfo")
    func mounts() {
        let table = MountTable(Array(FileSystemTableTests.mountInfo.utf8))
        #expect(table.mounts.count == 7)
        #expect(table["/srv/a b"]?.id == 32)
        #expect(table["/proc"]?.type == "proc")
        #expect(table["/srv/a b"]?.isReadOnly == false)
        #expect(table.mounts[4].isReadOnly && !table.mounts[4].isFileSystemReadOnly)
        #expect(table["/none"] == nil)
    }

    @Test("the last mount is taken down first, and what must stay stays")
    func order() {
        let table = MountTable(Array(FileSystemTableTests.mountInfo.utf8))
        let targets = table.takenDown(keeping: ["/proc", "/dev"]).map { $0.id }
        #expect(targets == [32, 31, 30, 25])
        #expect(table.writable.map { $0.id } == [22, 30, 32])
    }

    @Test("swap areas")
    func swap() {
        let text = "Filename Type Size\n/dev/vdb partition 1 0 -2\n/swap\\040file file 1 0 -3\n"
        #expect(SwapTable.areas(in: Array(text.utf8)) == ["/dev/vdb", "/swap file"])
        #expect(SwapTable.areas(in: []) == [])
    }

    private func superblock(
        magic: UInt16 = 0xef53, state: UInt16 = 1, journal: Bool = true, mounts: UInt16 = 0,
        limit: UInt16 = 0xffff,
        checked: UInt32 = 0, interval: UInt32 = 0
    ) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 2048)
        func put(_ value: some FixedWidthInteger, _ offset: Int) {
            for index in 0..<(value.bitWidth / 8) {
                bytes[1024 + offset + index] = UInt8(truncatingIfNeeded: value >> (index * 8))
            }
        }
        put(magic, 0x38)
        put(state, 0x3a)
        put(UInt32(journal ? 4 : 0), 0x5c)
        put(mounts, 0x34)
        put(limit, 0x36)
        put(checked, 0x40)
        put(interval, 0x44)
        return bytes
    }

    @Test(
        "a check is due after errors, without a journal that is to be replayed, and when its time has come"
    )
    func check() {
        #expect(!CheckPolicy.isDue(superblock(), at: 100))
        #expect(CheckPolicy.isDue(superblock(state: 3), at: 100))
        #expect(!CheckPolicy.isDue(superblock(state: 0), at: 100))
        #expect(CheckPolicy.isDue(superblock(state: 0, journal: false), at: 100))
        #expect(CheckPolicy.isDue(superblock(mounts: 20, limit: 20), at: 100))
        #expect(!CheckPolicy.isDue(superblock(mounts: 19, limit: 20), at: 100))
        #expect(CheckPolicy.isDue(superblock(checked: 40, interval: 60), at: 100))
        #expect(!CheckPolicy.isDue(superblock(checked: 41, interval: 60), at: 100))
        #expect(!CheckPolicy.isDue(superblock(magic: 0, state: 3), at: 100))
        #expect(!CheckPolicy.isDue([], at: 100))
    }

    @Test("volumes by what is in them")
    func volumes() {
        var ext = [UInt8](repeating: 0, count: VolumeIdentity.size)
        ext.replaceSubrange(0..<2048, with: superblock())
        ext.replaceSubrange(0x468..<0x478, with: Array(0x10...0x1f))
        ext.replaceSubrange(0x478..<0x47c, with: Array("root".utf8))
        ext[0x460] = 0x40
        let identity = VolumeIdentity(ext)
        #expect(identity?.uuid == "10111213-1415-1617-1819-1a1b1c1d1e1f")
        #expect(identity?.label == "root" && identity?.type == "ext4")
        ext[0x460] = 0
        #expect(VolumeIdentity(ext)?.type == "ext3")
        var swap = [UInt8](repeating: 0, count: 4096)
        swap.replaceSubrange(4086..<4096, with: Array("SWAPSPACE2".utf8))
        #expect(VolumeIdentity(swap)?.type == "swap")
        #expect(VolumeIdentity(Array("XFSB".utf8)) == nil)
        #expect(VolumeIdentity([UInt8](repeating: 0, count: 70000)) == nil)
        #expect(VolumeIdentity([]) == nil)
    }

    @Test("names of volumes")
    func names() {
        #expect(VolumeName("/dev/vda1") == .device("/dev/vda1"))
        #expect(VolumeName("UUID=\"AB-cd\"") == .uuid("ab-cd"))
        #expect(VolumeName("LABEL=Root") == .label("Root"))
        #expect(VolumeName("PARTUUID=AB-01") == .partition("ab-01"))
        #expect(VolumeName("PARTLABEL=x") == .partitionLabel("x"))
        #expect(VolumeName("host:/a=b") == .device("host:/a=b"))
    }

    @Test("Places below a directory are found once, without those below them, by whole names")
    func places() {
        let content = """
            21 1 0:20 / / rw - ext4 /dev/a rw
            22 21 0:21 / /proc rw - proc proc rw
            30 22 0:30 / /proc/sys/fs/binfmt_misc rw - autofs none rw
            31 22 0:21 /sys /proc/sys ro - proc proc rw
            32 31 0:31 / /proc/sys/fs/binfmt_misc rw - binfmt_misc none rw
            33 22 0:5 /null /proc/a\\040b rw - devtmpfs dev rw
            34 22 0:5 /null /proc/a\\040b rw - devtmpfs dev rw
            35 21 0:9 / /procession/x rw - tmpfs none rw
            36 22
            """
        let table = MountTable(Array(content.utf8))
        #expect(table.places(below: "/proc") == ["/proc/sys", "/proc/a b"])
    }
}
