import Bytes
import Linux
import Testing

@testable import Confinement

@Suite("Audit of a process")
struct AuditTests {
    private func status(
        user: Int = 33, permitted: UInt64 = 0, bounding: UInt64 = 0, noNewPrivs: Int? = 1,
        seccomp: Int? = 2, filters: Int? = 1
    ) -> [UInt8] {
        var text = """
            Name:\thttpd
            Umask:\t0022
            Uid:\t\(user)\t\(user)\t\(user)\t\(user)
            Gid:\t7\t8\t9\t10
            Groups:\t11 12\u{20}
            CapInh:\t0000000000000000
            CapPrm:\t\(String(permitted, radix: 16))
            CapEff:\t0000000000000001
            CapBnd:\t\(String(bounding, radix: 16))
            CapAmb:\t000001ffffffffff

            """
        if let noNewPrivs { text += "NoNewPrivs:\t\(noNewPrivs)\n" }
        if let seccomp { text += "Seccomp:\t\(seccomp)\n" }
        if let filters { text += "Seccomp_filters:\t\(filters)\n" }
        return Array(text.utf8)
    }

    @Test("All fields are read")
    func fields() throws {
        let audit = try #require(Audit(status: status(permitted: 0xdead_beef, bounding: 0xff)))
        #expect(audit.name == "httpd")
        #expect(audit.users == [33, 33, 33, 33] && audit.groups == [7, 8, 9, 10])
        #expect(audit.moreGroups == [11, 12])
        #expect(audit.capabilities.permitted.rawValue == 0xdead_beef)
        #expect(audit.capabilities.effective.rawValue == 1)
        #expect(audit.capabilities.bounding.rawValue == 0xff)
        #expect(audit.capabilities.ambient.rawValue == 0x1ff_ffff_ffff)
        #expect(audit.noNewPrivileges && audit.seccompMode == 2 && audit.filterCount == 1)
    }

    @Test("What older kernels do not tell counts as not there; a text that is none is refused")
    func older() throws {
        let audit = try #require(
            Audit(status: status(noNewPrivs: nil, seccomp: nil, filters: nil)))
        #expect(!audit.noNewPrivileges && audit.seccompMode == 0 && audit.filterCount == nil)
        #expect(Audit(status: []) == nil)
        #expect(Audit(status: Array("Name:\tx\nUid:\t0\n".utf8)) == nil)
    }

    @Test("The points are those of the manual, and make the word")
    func judgement() throws {
        let (chown, admin): (UInt64, UInt64) = (1, 1 << 21)
        let cases: [([UInt8], Int, ByteString)] = [
            (status(), 0, "tight"),
            (status(permitted: chown, bounding: chown | admin), 10, "tight"),
            (status(seccomp: 0), 25, "medium"),
            (status(user: 0), 25, "medium"),
            (status(noNewPrivs: 0), 10, "tight"),
            (status(bounding: admin, noNewPrivs: 0), 20, "medium"),
            (status(bounding: admin, noNewPrivs: 0, seccomp: 0), 45, "weak"),
            (status(user: 0, permitted: chown, bounding: chown, noNewPrivs: 0), 45, "weak"),
            (status(user: 0, permitted: chown | admin, bounding: admin), 55, "weak"),
            (
                status(
                    user: 0, permitted: chown | admin, bounding: admin, noNewPrivs: 0, seccomp: 0),
                100, "exposed"
            ),
        ]
        for (text, points, word) in cases {
            let audit = try #require(Audit(status: text))
            #expect(audit.points == points)
            #expect(ByteString(audit.word) == word)
        }
        #expect(Audit.Exposure.allCases.reduce(0) { $0 + $1.points } == 100)
    }

    @Test("A set's shortest list means the set")
    func lists() throws {
        let known = CapabilitySet.known
        #expect(known.list == "all")
        #expect(CapabilitySet().list == "none")
        #expect(known.subtracting(CapabilitySet(Capability(0))).list == "all,-chown")
        #expect(CapabilitySet(rawValue: 0x21).list == "chown,kill")
        var bits: UInt64 = 1
        for _ in 0..<200 {
            bits = bits &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let set = CapabilitySet(rawValue: bits >> 13).intersection(known)
            #expect(try CapabilityList(set.list).applied(to: [], all: known) == set)
        }
    }

    @Test("Limits are read in the order of the kernel")
    func limitsText() throws {
        let text = try contents(of: "/proc/self/limits", limit: 1 << 16)
        let found = Confinement.limits(in: text)
        #expect(found.count == Resource.allCases.count)
        for resource in Resource.allCases {
            let now = try resource.limits()
            func show(_ value: UInt64) -> String { value == .max ? "unlimited" : "\(value)" }
            let expected = ByteString(show(now.soft) + ":" + show(now.hard))
            #expect(found[Int(resource.rawValue)] == expected)
        }
    }
}
