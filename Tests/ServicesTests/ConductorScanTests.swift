import Bytes
import Testing

@testable import Services

/// What the scan finds and what follows from it, written out.
@Suite("The conductor's scan") struct ConductorScanTests {
    private let a = PairID(0)
    private let b = PairID(1)

    @Test("From the beginning to a service with its logger that is up")
    func setsUp() {
        var script = Script()
        #expect(script.take(.began) == [.list])
        #expect(script.list([("a", 1)]) == [.examine(a, name: "a", Script.file(1))])
        #expect(script.take(.examined(a, log: FileID(device: 2, inode: 1))) == [.makePipe(a)])
        #expect(
            script.take(.piped(a)) == [
                .open(ServiceID(0), .logger(name: "a", Script.file(1)), name: "a/log"),
                .open(ServiceID(1), .entry(name: "a", Script.file(1)), name: "a"),
            ])
        #expect(
            script.take(.opened(ServiceID(0), isDown: false)) == [
                .start(ServiceID(0), .logger(a), checks: false)
            ])
        #expect(
            script.take(.opened(ServiceID(1), isDown: false)) == [
                .start(ServiceID(1), .main(a), checks: false)
            ])
        #expect(script.take(.started(ServiceID(0), pid: 200)).withoutStatus == [])
        #expect(script.deadline == nil, "nothing to wake up for")
    }

    @Test("A service with `down` is not started, and looks for a `log` when it is")
    func down() {
        var script = Script()
        script.take(.began)
        script.list([("a", 1)])
        #expect(
            script.take(.examined(a, log: nil)) == [
                .open(ServiceID(0), .entry(name: "a", Script.file(1)), name: "a")
            ])
        #expect(script.take(.opened(ServiceID(0), isDown: true)).withoutStatus == [])
        #expect(
            script.take(.commanded(ServiceID(0), .up), at: 9000).withoutStatus == [
                .start(ServiceID(0), .main(a), checks: true)
            ])
    }

    // MARK: - Half-made directories

    @Test("What is being filled is left until it has a `run` and was quiet for 200 ms")
    func settles() {
        var script = Script()
        script.take(.began)
        script.list([])
        script.take(.directoryChanged, at: 1000)
        let look = Action.inspect(a, name: "a", Script.file(1))
        #expect(script.list([("a", 1)], isWhole: false) == [look])
        #expect(script.take(.inspected(a, signature: 1, hasRun: false)) == [])
        #expect(script.deadline == 1200)
        #expect(script.take(.timePassed, at: 1199) == [])
        #expect(script.take(.timePassed, at: 1200) == [look])
        // Quiet, but without a `run`.
        #expect(script.take(.inspected(a, signature: 1, hasRun: false)) == [])
        #expect(script.take(.timePassed, at: 1400) == [look])
        #expect(script.take(.inspected(a, signature: 2, hasRun: true)) == [])
        #expect(script.take(.timePassed, at: 1600) == [look])
        #expect(script.take(.inspected(a, signature: 3, hasRun: true)) == [])
        #expect(script.take(.timePassed, at: 1800) == [look])
        #expect(
            script.take(.inspected(a, signature: 3, hasRun: true)) == [
                .examine(a, name: "a", Script.file(1))
            ])
    }

    @Test("After five seconds it is taken as it is")
    func patience() {
        var script = Script()
        script.take(.began)
        script.list([])
        script.take(.directoryChanged, at: 1000)
        script.list([("a", 1)], isWhole: false)
        var signature: UInt64 = 0
        var actions = script.take(.inspected(a, signature: signature, hasRun: true))
        while actions == [], let deadline = script.deadline, deadline <= 10_000 {
            #expect(
                script.take(.timePassed, at: deadline) == [.inspect(a, name: "a", Script.file(1))])
            signature += 1
            actions = script.take(.inspected(a, signature: signature, hasRun: true))
        }
        #expect(actions == [.examine(a, name: "a", Script.file(1))])
        #expect(script.now == 6000)
    }

    @Test("What comes by a rename or a link is started at once, and so is what is there at first")
    func whole() {
        var script = Script()
        script.take(.began)
        #expect(script.list([("a", 1)], isWhole: false) == [.examine(a, name: "a", Script.file(1))])
        script.take(.examined(a, log: nil))
        script.take(.directoryChanged, at: 1000)
        #expect(
            script.list([("a", 1), ("b", 2)]) == [.examine(b, name: "b", Script.file(2))])
    }

    @Test("A rename of what is being filled makes it whole")
    func renamedWhileFilled() {
        var script = Script()
        script.take(.began)
        script.list([])
        script.take(.directoryChanged, at: 1000)
        script.list([("a.new", 1)], isWhole: false)
        script.take(.inspected(a, signature: 1, hasRun: true))
        script.take(.directoryChanged, at: 1050)
        #expect(script.list([("a", 1)]) == [.examine(a, name: "a", Script.file(1))])
    }

    @Test("A directory that vanishes while it is filled is forgotten")
    func vanishedWhileFilled() {
        var script = Script()
        script.take(.began)
        script.list([])
        script.take(.directoryChanged, at: 1000)
        script.list([("a", 1)], isWhole: false)
        script.take(.inspected(a, signature: 1, hasRun: false))
        #expect(script.take(.timePassed, at: 1200) == [.inspect(a, name: "a", Script.file(1))])
        #expect(script.take(.notExamined(a, nil)) == [.list])
        #expect(script.list([]) == [])
        #expect(script.conductor.pairs.isEmpty)
        #expect(script.deadline == nil)
    }

    // MARK: - Names that move on

    @Test("The old service of a replaced directory ends before the new one starts")
    func replaced() {
        var script = Script.oneUp()
        script.take(.directoryChanged, at: 5000)
        let actions = script.list([("a", 2)])
        #expect(
            actions.remarks == [
                "a is another directory now, ending the old service (pid 100) before starting the new"
            ])
        #expect(
            actions.deeds == [
                .signal(pid: 100, .terminate), .signal(pid: 100, .continue),
            ])
        #expect(script.deadline == 10_000, "the new one waits for an end, not for a time")
        #expect(
            script.take(.died(pid: 100, Death(status: 15)), at: 8000).deeds == [
                .close(ServiceID(0)), .examine(b, name: "a", Script.file(2)),
            ])
    }

    @Test("Of two replaced directories each waits for its own")
    func twoReplaced() {
        var script = Script()
        script.take(.began)
        script.list([("a", 1), ("b", 2)])
        script.take(.examined(a, log: nil))
        script.take(.examined(b, log: nil))
        script.take(.opened(ServiceID(0), isDown: true))
        script.take(.opened(ServiceID(1), isDown: false))
        script.take(.started(ServiceID(1), pid: 100))
        script.take(.directoryChanged, at: 5000)
        #expect(
            script.list([("a", 3), ("b", 4)]).deeds == [
                .close(ServiceID(0)), .examine(PairID(2), name: "a", Script.file(3)),
                .signal(pid: 100, .terminate), .signal(pid: 100, .continue),
            ])
    }

    @Test("A name that is switched to a directory of another name ends its service too")
    func switchedToAnother() {
        var script = Script()
        script.take(.began)
        script.list([("a", 1), ("b", 2)])
        for (pair, pid) in [(a, 100), (b, 101)] as [(PairID, Int32)] {
            script.take(.examined(pair, log: nil))
            script.take(.opened(ServiceID(pair.index), isDown: false))
            script.take(.started(ServiceID(pair.index), pid: pid))
        }
        script.take(.directoryChanged, at: 5000)
        #expect(
            script.list([("a", 1), ("b", 1)]).deeds == [
                .signal(pid: 101, .terminate), .signal(pid: 101, .continue),
            ])
    }

    @Test("A rename changes nothing, and a removal ends nothing")
    func renamed() {
        var script = Script.oneUp()
        script.take(.directoryChanged, at: 5000)
        #expect(script.list([("z", 1)]) == [])
        script.take(.directoryChanged, at: 6000)
        #expect(script.list([]) == [])
        #expect(
            script.take(.died(pid: 100, Death(status: 0)), at: 7000) == [
                .start(ServiceID(0), .main(a), checks: true)
            ])
    }

    @Test("A name that leads elsewhere at a start is looked at first")
    func displaced() {
        var script = Script.oneUp()
        #expect(
            script.take(.died(pid: 100, Death(status: 0)), at: 5000) == [
                .start(ServiceID(0), .main(a), checks: true)
            ])
        #expect(script.take(.displaced(ServiceID(0))).withoutStatus == [.list])
        #expect(
            script.list([("a", 2)]).deeds == [
                .close(ServiceID(0)), .examine(b, name: "a", Script.file(2)),
            ])
    }

    @Test("A logger reads the rest of a replaced service, and ends")
    func replacedWithLogger() {
        var script = Script.onePairUp()
        script.take(.directoryChanged, at: 5000)
        script.list([("a", 2)])
        #expect(
            script.take(.died(pid: 100, Death(status: 15))).deeds == [
                .close(ServiceID(1)), .closeWriter(a), .closeReader(a),
                .examine(b, name: "a", Script.file(2)),
            ])
        #expect(script.take(.died(pid: 200, Death(status: 0))).deeds == [.close(ServiceID(0))])
        #expect(script.conductor.pairs[0] == nil)
    }

    @Test("A logger that waits for its start is started to read the rest")
    func loggerStartedForTheRest() {
        var script = Script.onePairUp()
        script.take(.died(pid: 200, Death(status: 9)), at: 500)
        script.take(.directoryChanged)
        script.list([("a", 2)])
        #expect(
            script.take(.died(pid: 100, Death(status: 15))).deeds == [
                .close(ServiceID(1)), .closeWriter(a), .examine(b, name: "a", Script.file(2)),
            ])
        script.take(.examined(b, log: nil))
        #expect(
            script.take(.timePassed, at: 1000).deeds == [
                .start(ServiceID(0), .logger(a), checks: true)
            ])
        #expect(script.take(.started(ServiceID(0), pid: 201)).deeds == [.closeReader(a)])
        #expect(script.take(.died(pid: 201, Death(status: 0))).deeds == [.close(ServiceID(0))])
    }

    @Test("A logger whose service is back without it reads the rest once, and ends")
    func backWithoutTheLogger() {
        var script = Script.onePairUp()
        script.take(.died(pid: 200, Death(status: 9)), at: 500)
        script.take(.directoryChanged)
        script.list([("a", 2)])
        script.take(.died(pid: 100, Death(status: 15)))
        script.take(.notExamined(b, nil))
        script.take(.directoryChanged, at: 900)
        script.take(.timePassed, at: script.deadline)
        #expect(script.list([("a", 1)]).deeds == [.examine(a, name: "a", Script.file(1))])
        script.take(.examined(a, log: nil))
        script.take(.opened(ServiceID(1), isDown: false))
        script.take(.started(ServiceID(1), pid: 101))
        script.take(.timePassed, at: 3000)
        #expect(script.take(.started(ServiceID(0), pid: 201)).deeds == [.closeReader(a)])
        #expect(
            script.take(.died(pid: 201, Death(status: 0))).deeds.first == .close(ServiceID(0)))
        #expect(script.take(.timePassed, at: 9000).deeds == [])
    }

    @Test(
        "A directory that is back before its logger has read the rest is supervised again after that"
    )
    func backBeforeTheLoggerStarts() {
        var script = Script.onePairUp()
        script.take(.died(pid: 200, Death(status: 9)), at: 500)
        script.take(.directoryChanged)
        script.list([("a", 2)])
        script.take(.died(pid: 100, Death(status: 15)))
        script.take(.examined(b, log: nil))
        script.take(.opened(ServiceID(1), isDown: true))
        script.take(.directoryChanged, at: 600)
        let look = Action.examine(a, name: "a", Script.file(1))
        #expect(script.list([("a", 1)]).deeds.last == look)
        script.take(.examined(a, log: FileID(device: 2, inode: 1)))
        script.take(.timePassed, at: 1000)
        #expect(script.take(.started(ServiceID(0), pid: 201)).deeds == [.closeReader(a)])
        #expect(
            script.take(.died(pid: 201, Death(status: 0))).deeds == [.close(ServiceID(0)), look])
        #expect(script.take(.examined(a, log: FileID(device: 2, inode: 1))) == [.makePipe(a)])
    }

    @Test("A new pipe is made when nothing of the old is left")
    func newPipe() {
        var script = Script.onePairUp()
        script.take(.died(pid: 200, Death(status: 9)), at: 500)
        script.take(.directoryChanged)
        script.list([("a", 2)])
        script.take(.died(pid: 100, Death(status: 15)))
        script.take(.notExamined(b, nil))
        script.list([("a", 1)])
        script.take(.examined(a, log: FileID(device: 2, inode: 1)))
        #expect(
            script.take(.commanded(ServiceID(0), .exit)).deeds == [
                .close(ServiceID(0)), .examine(a, name: "a", Script.file(1)),
            ])
        #expect(
            script.take(.examined(a, log: FileID(device: 2, inode: 1))) == [
                .closeReader(a), .makePipe(a),
            ])
    }

    // MARK: - A log that comes later

    @Test("A `log` that was added is found at SIGHUP")
    func logAtHangup() {
        var script = Script.oneUp()
        #expect(script.take(.rescanAsked, at: 5000) == [.define(ServiceID(0)), .list])
        #expect(script.list([("a", 1)]) == [.examine(a, name: "a", Script.file(1))])
        #expect(script.take(.examined(a, log: FileID(device: 2, inode: 1))) == [.makePipe(a)])
        // Somebody may still be filling it.
        #expect(script.take(.piped(a)) == [])
        let look = Action.inspect(a, name: "a", Script.file(1))
        #expect(script.take(.timePassed) == [look])
        #expect(script.take(.inspected(a, signature: 1, hasRun: true)) == [])
        #expect(script.deadline == 5200)
        #expect(script.take(.timePassed, at: 5200) == [look])
        #expect(
            script.take(.inspected(a, signature: 1, hasRun: true)) == [
                .examine(a, name: "a", Script.file(1))
            ])
        #expect(
            script.take(.examined(a, log: FileID(device: 2, inode: 1))) == [
                .open(ServiceID(1), .logger(name: "a", Script.file(1)), name: "a/log")
            ])
    }

    @Test("A `log` that is another directory gets a new logger on the same pipe")
    func replacedLog() {
        var script = Script.onePairUp()
        script.take(.rescanAsked, at: 5000)
        #expect(script.list([("a", 1)]) == [.examine(a, name: "a", Script.file(1))])
        let actions = script.take(.examined(a, log: FileID(device: 2, inode: 9)))
        #expect(actions.deeds == [.signal(pid: 200, .terminate), .signal(pid: 200, .continue)])
        #expect(
            actions.remarks == [
                "a/log is another directory now, ending the old service (pid 200) before starting the new"
            ])
        let look = Action.inspect(a, name: "a", Script.file(1))
        #expect(
            script.take(.died(pid: 200, Death(status: 0))).deeds == [.close(ServiceID(0)), look])
        script.take(.inspected(a, signature: 1, hasRun: true))
        #expect(script.take(.timePassed, at: 5200) == [look])
        script.take(.inspected(a, signature: 1, hasRun: true))
        #expect(
            script.take(.examined(a, log: FileID(device: 2, inode: 9))) == [
                .open(ServiceID(0), .logger(name: "a", Script.file(1)), name: "a/log")
            ])
    }

    @Test("An old service that does not end is said once, after five seconds")
    func overdue() {
        var script = Script.oneUp()
        script.list([("a", 2)])
        #expect(script.deadline == 5000)
        #expect(
            script.take(.timePassed, at: 5000).remarks == [
                "the old a (pid 100) has not ended yet, the new one waits for it"
            ])
        #expect(script.deadline == nil)
    }

    @Test("A `log` that was added is found at the next start, which waits for it")
    func logAtStart() {
        var script = Script.oneUp()
        script.take(.died(pid: 100, Death(status: 0)), at: 5000)
        let look = Action.examine(a, name: "a", Script.file(1))
        #expect(script.take(.loggerAppeared(ServiceID(0))).deeds == [look])
        #expect(script.take(.examined(a, log: FileID(device: 2, inode: 1))) == [.makePipe(a)])
        #expect(script.take(.piped(a)) == [])
        #expect(script.deadline == 5000)
        #expect(
            script.take(.timePassed) == [
                .inspect(a, name: "a", Script.file(1)),
                .start(ServiceID(0), .main(a), checks: false),
            ])
    }

    @Test("A start that was refused looks again")
    func looksAgain() {
        var script = Script.oneUp()
        script.take(.died(pid: 100, Death(status: 0)), at: 5000)
        script.take(.loggerAppeared(ServiceID(0)))
        script.take(.examined(a, log: FileID(device: 2, inode: 1)))
        script.take(.notPiped(a, Complaint("unable to create pipe", errno: 24)))
        #expect(script.take(.timePassed) == [.start(ServiceID(0), .main(a), checks: false)])
        script.take(.refused(ServiceID(0), errno: 11))
        #expect(
            script.take(.timePassed, at: 6000) == [.start(ServiceID(0), .main(a), checks: true)])
    }

    // MARK: - The scan directory itself

    @Test("A scan directory that is not there is said once, and looked for every five seconds")
    func missing() {
        var script = Script()
        let complaint = Complaint("unable to read directory", errno: 2)
        script.take(.began)
        #expect(script.take(.notListed(complaint)).remarks == ["unable to read directory"])
        #expect(script.deadline == 5000)
        #expect(script.take(.timePassed, at: 5000) == [.list])
        #expect(script.take(.notListed(complaint)) == [])
        #expect(script.take(.directoryChanged, at: 6000) == [.list])
        #expect(script.list([("a", 1)]) == [.examine(a, name: "a", Script.file(1))])
        #expect(script.deadline == nil)
    }

    @Test("Another scan directory: what is in both goes on, what is gone is named and goes on")
    func replacedScanDirectory() {
        var script = Script.oneUp()
        script.take(.directoryChanged, at: 5000)
        let other = FileID(device: 9, inode: 2)
        #expect(
            script.list([("b", 2)], in: other).remarks == [
                "the service directory is another one now, supervising what is in it",
                "still supervising a, which is not in the service directory any more",
            ])
        script.take(.directoryChanged, at: 6000)
        #expect(script.list([("a", 1), ("b", 2)], in: other).remarks == [])
    }

    @Test("Changes that come fast are looked at every 20 ms, or when 20 times the cost is over")
    func boundedRate() {
        var script = Script()
        script.take(.began)
        script.list([])
        #expect(script.take(.directoryChanged, at: 19) == [])
        #expect(script.deadline == 20)
        #expect(script.take(.directoryChanged) == [])
        #expect(script.take(.timePassed, at: 20) == [.list])
        script.list([], cost: 5_000_000)
        #expect(script.take(.directoryChanged, at: 119) == [])
        #expect(script.deadline == 120)
    }

    @Test(
        "A directory that is not watched, and one with undecided links, is looked at every five seconds"
    )
    func unwatched() {
        var script = Script()
        script.take(.began)
        script.list([], isWatched: false)
        #expect(script.deadline == 5000)
        script.take(.timePassed, at: 5000)
        script.take(
            .listed(
                Listing(
                    directory: Script.scanDirectory,
                    entries: [.init(name: "a", content: .undecided)], cost: 0, isWatched: true)))
        #expect(script.deadline == 10_000)
    }

    // MARK: - Trouble

    @Test("A broken service is reported once for each reason, and tried again after five seconds")
    func broken() {
        var script = Script()
        script.take(.began)
        script.list([("a", 1)])
        let complaint = Complaint("unable to acquire a/supervise/lock", errno: 11)
        script.take(.examined(a, log: nil))
        #expect(
            script.take(.notOpened(ServiceID(0), complaint)).remarks == [
                "unable to acquire a/supervise/lock"
            ])
        #expect(script.deadline == 5000)
        #expect(script.take(.timePassed, at: 5000) == [.examine(a, name: "a", Script.file(1))])
        script.take(.examined(a, log: nil))
        #expect(script.take(.notOpened(ServiceID(0), complaint)) == [])
        script.take(.timePassed, at: 10_000)
        #expect(
            script.take(.notExamined(a, Complaint("unable to stat a/log", errno: 5))).remarks == [
                "unable to stat a/log"
            ])
    }

    @Test(
        "A service told to exit that is still there is supervised anew after five seconds, or at SIGHUP"
    )
    func anew() {
        for isAsked in [false, true] {
            var script = Script.oneUp()
            script.take(.commanded(ServiceID(0), .down), at: 5000)
            script.take(.commanded(ServiceID(0), .exit))
            #expect(
                script.take(.died(pid: 100, Death(status: 15))).deeds == [.close(ServiceID(0))])
            #expect(script.deadline == 10_000)
            let look = Action.examine(a, name: "a", Script.file(1))
            if isAsked {
                #expect(script.take(.rescanAsked) == [.list])
                #expect(script.list([("a", 1)]) == [look])
            } else {
                #expect(script.take(.timePassed, at: 10_000) == [look])
            }
        }
    }

    @Test("A removed service that is linked again waits for its logger without spinning")
    func backWhileTheLoggerReads() {
        var script = Script.onePairUp()
        script.take(.directoryChanged, at: 5000)
        script.list([])
        for command in [Command.down, .exit] { script.take(.commanded(ServiceID(1), command)) }
        script.take(.commanded(ServiceID(0), .exit))
        #expect(
            script.take(.died(pid: 100, Death(status: 15))).deeds == [
                .close(ServiceID(1)), .closeWriter(a),
            ])
        script.take(.directoryChanged, at: 6000)
        let look = Action.examine(a, name: "a", Script.file(1))
        #expect(script.list([("a", 1)]) == [look])
        #expect(script.take(.examined(a, log: FileID(device: 2, inode: 1))) == [])
        #expect(script.deadline == 11_000)
        #expect(
            script.take(.died(pid: 200, Death(status: 0)), at: 7000).deeds == [
                .close(ServiceID(0)), look,
            ])
        #expect(
            script.take(.examined(a, log: FileID(device: 2, inode: 1))) == [
                .closeReader(a), .makePipe(a),
            ])
    }

    @Test("An entry that vanishes while its pipe is made leaves no pipe")
    func vanishedWhilePiped() {
        var script = Script()
        script.take(.began)
        script.list([("a", 1)])
        script.take(.examined(a, log: FileID(device: 2, inode: 1)))
        script.list([])
        #expect(script.take(.piped(a)) == [.closeWriter(a), .closeReader(a)])
        #expect(script.conductor.pairs.isEmpty)
    }
}
