import Bytes
import Commands
import Formats
import Linux
import ServiceFiles
import Services

// Becoming another binary in place.

extension Supervisor {
    /// Asks the binary that svscanctl named.
    func beginUpgradeToNamed() {
        guard let scan = performer.scan else { return }
        do throws(SystemError) { beginUpgrade(to: try scan.takeNameOfBinary()) } catch {
            messages.warning("unable to read \(scan.path)/\(ScanControl.name)/binary", error.errno)
        }
    }

    /// Asks the binary at `path`, or the one that has this one's name by now.
    func beginUpgrade(to path: ByteString?) {
        if let upgrade {
            guard let path else { return }
            return messages.warning("unable to try \(path): \(upgrade.path) is being tried")
        }
        guard carryover != nil else {
            return messages.warning(
                "unable to become another binary: there is no place for the state")
        }
        do throws(SystemError) {
            try performer.starters.score?.restore()
            let asked = try Upgrade(to: path, configuration.environment)
            try loop.add(asked.number, token: Token.upgrade)
            upgrade = asked
        } catch {
            messages.warning("unable to try \(path ?? "the new binary")", error.errno)
        }
    }

    func readAnswer() {
        switch upgrade?.read() {
        case nil, .some(.none): break
        case .sameTable: mayUpgrade = true
        case .otherTable:
            mayUpgrade = true
            messages.warning(
                "the new binary cannot read the state of this one: it takes over running services by their status files"
            )
        case .wrong: refuseUpgrade("it is not Apus, or cannot take over")
        }
    }

    func refuseUpgrade(_ reason: ByteString) {
        guard let asked = upgrade else { return }
        asked.end()
        upgrade = nil
        messages.warning("unable to become \(asked.path): \(reason)")
    }

    /// Becomes the binary, at a time when no action is due.
    func upgradeIfDue() {
        guard let asked = upgrade else { return }
        if mayUpgrade {
            mayUpgrade = false
            upgrade = nil
            do throws(SystemError) {
                try carryover?.become(asked.binary, conductor, performer.facts)
            } catch {
                messages.warning("unable to become \(asked.path)", error.errno)
            }
        } else if asked.deadline <= .now {
            refuseUpgrade("it did not answer in time")
        }
    }
}
