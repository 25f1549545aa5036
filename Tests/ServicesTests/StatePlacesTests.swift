import Bytes
import Testing

@testable import Services

@Suite("Where state is that has no place in its directory")
struct StatePlacesTests {
    @Test("What is chosen comes alone; else /run, the session's, the user's own in two places")
    func candidates() {
        func candidates(_ chosen: ByteString?, _ session: ByteString?, _ user: UInt32)
            -> [ByteString]
        {
            StatePlaces(chosen: chosen, runtimeDirectory: session, user: user).candidates
        }
        #expect(candidates(nil, nil, 0) == ["/run/apus", "/tmp/apus-0", "/dev/shm/apus-0"])
        #expect(
            candidates(nil, "/run/user/7", 7) == [
                "/run/apus", "/run/user/7/apus", "/tmp/apus-7", "/dev/shm/apus-7",
            ])
        #expect(candidates("/data", "/run/user/7", 7) == ["/data"])
        for meaningless in ["", "data", "./data"] as [ByteString] {
            #expect(
                candidates(meaningless, meaningless, 4_294_967_295) == [
                    "/run/apus", "/tmp/apus-4294967295", "/dev/shm/apus-4294967295",
                ])
        }
    }

    @Test("A client of another user's also looks where the user of process 1 has it")
    func processOne() {
        let client = StatePlaces(chosen: nil, runtimeDirectory: nil, user: 0, processOne: 1000)
        #expect(
            client.candidates == [
                "/run/apus", "/tmp/apus-0", "/tmp/apus-1000", "/dev/shm/apus-0",
                "/dev/shm/apus-1000",
            ])
        #expect(client.owners == [0, 1000])
        let same = StatePlaces(chosen: nil, runtimeDirectory: nil, user: 1000, processOne: 1000)
        #expect(same.candidates == ["/run/apus", "/tmp/apus-1000", "/dev/shm/apus-1000"])
        #expect(same.owners == [1000, 0])
        let supervisor = StatePlaces(chosen: nil, runtimeDirectory: nil, user: 0)
        #expect(supervisor.owners == [0])
    }

    @Test("SUPERVISEDIR is a name, or a directory for all")
    func supervise() {
        func places(_ name: ByteString?) -> StatePlaces {
            StatePlaces(chosen: nil, runtimeDirectory: nil, user: 0, supervise: name)
        }
        for nothing in [nil, ""] as [ByteString?] {
            #expect(places(nothing).supervise(of: "/service/web") == "supervise")
            #expect(!places(nothing).dependOnPath)
        }
        #expect(places(".sv").supervise(of: "/service/web") == ".sv")
        #expect(!places(".sv").dependOnPath)
        #expect(places("/run/sv").dependOnPath)
        #expect(places("/run/sv").supervise(of: "/service/web") == "/run/sv/service:web")
        #expect(places("/run/sv").supervise(of: "/a/b:c/\u{ff}") == "/run/sv/a:b:c:\u{ff}")
        #expect(places("/run/sv").supervise(of: "/") == "/run/sv/")
    }

    @Test("Only what root or the user made is believed, and only if nobody else may rename in it")
    func trust() {
        let places = StatePlaces(chosen: nil, runtimeDirectory: nil, user: 7, processOne: 9)
        for permissions in UInt32(0)...0o7777 {
            let isSafe = permissions & 0o022 == 0 || permissions & 0o1000 == 0o1000
            for owner in [0, 7, 9] as [UInt32] {
                #expect(places.trusts(owner: owner, permissions: permissions) == isSafe)
            }
            #expect(!places.trusts(owner: 8, permissions: permissions))
        }
    }

    @Test("The name is device and inode, as stat(1) prints them")
    func name() {
        #expect(StatePlaces.name(device: 0, inode: 0) == "0-0")
        #expect(
            StatePlaces.name(device: .max, inode: 66306)
                == "18446744073709551615-66306")
    }

    @Test(
        "A supervisor counts first, then files, then what cannot be told, then the directory's own")
    func choice() {
        let all: [StatePlaces.Finding] = [.supervised, .unsupervised, .absent, .unknown]
        for first in all {
            for second in all {
                for third in all {
                    let findings = [first, second, third]
                    let chosen = StatePlaces.choice(among: findings)
                    let expected =
                        findings.firstIndex(of: .supervised)
                        ?? findings.firstIndex(of: .unsupervised)
                        ?? findings.firstIndex(of: .unknown) ?? 0
                    #expect(chosen == expected)
                    // Which may be made of choices between two.
                    let pair = StatePlaces.choice(among: [first, second])
                    let winner = StatePlaces.choice(among: [findings[pair], third])
                    #expect(findings[winner == 1 ? 2 : pair] == findings[chosen])
                }
            }
        }
    }
}
