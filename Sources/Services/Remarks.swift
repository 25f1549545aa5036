import Bytes

/// What there is to say.
extension Remark {
    static func complaint(_ complaint: Complaint) -> Remark {
        Remark(.warning, complaint.text, errno: complaint.errno)
    }

    static func refused(_ name: ByteString, errno: Int32) -> Remark {
        Remark(.warning, "unable to fork for \(name)", errno: errno)
    }

    /// In the words of the original supervise, whose child it was that could not go on.
    static func notStarted(_ id: ServiceID, _ service: Service, errno: Int32) -> Remark {
        let (severity, text): (Severity, ByteString) =
            switch service.standing {
            case .single: (.fatal, "unable to start \(service.name)/run")
            case .main, .logger: (.warning, "unable to start \(service.name)/run")
            case .command: (.fatal, "unable to run \(service.name)")
            }
        return Remark(severity, text, errno: errno, program: id)
    }

    static func replaced(_ name: ByteString, pid: Int32) -> Remark {
        let process: ByteString = pid == 0 ? "" : " (pid \(pid))"
        return Remark(
            .warning,
            "\(name) is another directory now, ending the old service\(process) before starting the new"
        )
    }

    static func stillThere(_ name: ByteString, pid: Int32) -> Remark {
        Remark(.warning, "the old \(name) (pid \(pid)) has not ended yet, the new one waits for it")
    }

    static let directoryReplaced = Remark(
        .warning, "the service directory is another one now, supervising what is in it")

    static func gone(_ name: ByteString) -> Remark {
        Remark(
            .warning, "still supervising \(name), which is not in the service directory any more")
    }

    static func killing(_ names: [ByteString], after nanoseconds: UInt64) -> Remark {
        let tenths = nanoseconds / 100_000_000
        let list = ByteString(names, joinedBy: ", ")
        return Remark(
            .warning, "still up after \(tenths / 10).\(tenths % 10) seconds, killing: \(list)")
    }

    static let limitReached = Remark(.warning, "the time to stop is over, killing all that is left")
}
