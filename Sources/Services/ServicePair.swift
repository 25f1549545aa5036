import Bytes

/// What the scan directory holds under some name: a service and perhaps its logger, with the pipe between them,
/// which lives as long as either, so that neither's restart loses a line.
struct ServicePair: Equatable {
    /// The name it was first seen by.
    let name: ByteString
    /// Which directory it is, whatever its names.
    let identity: FileID
    /// The name it was last seen by.
    var path: ByteString
    /// Whether the last listing had it.
    var isPresent = true
    /// Whether its name leads to another directory by now, so that it is to end.
    var isReplaced = false
    /// When to say that it has not ended yet, once it is to.
    var overdue: UInt64?
    /// Whether there is a logger.
    var isLogged = false
    /// Which directory `log` was when it was last seen.
    var log: FileID?
    /// Whether the service's end of the pipe is open here.
    var hasWriter = false
    /// Whether the logger's end of the pipe is open here.
    var hasReader = false
    /// Whether an outcome is awaited that goes on with setting it up.
    var isBeingCompleted = false
    /// Before when it is not supervised again, having been told to end or having failed.
    var restUntil: UInt64 = 0
    /// While it may still be filled: what is known of that.
    var filling: Filling?
    /// The service, while it is supervised.
    var service: ServiceID?
    /// The logger, while it is supervised.
    var logger: ServiceID?
    /// What was last wrong with the service, and has been said.
    var serviceComplaint: Complaint?
    /// What was last wrong with the logger, and has been said.
    var loggerComplaint: Complaint?

    /// A directory that somebody may still be copying into.
    struct Filling: Equatable {
        /// How long nothing must have changed.
        static let quiet: UInt64 = .milliseconds(200)
        /// After which time it is taken as it is: the family's five seconds.
        static let patience: UInt64 = .seconds(5)

        /// What it looked like the last time; nil before the first look.
        var signature: UInt64? = nil
        /// When to look again.
        var nextLook: UInt64
        /// When to wait no longer.
        let limit: UInt64

        /// One that is to be looked at for the first time now.
        static func begun(at now: Moment) -> Filling {
            Filling(nextLook: now.nanoseconds, limit: now.nanoseconds + patience)
        }
    }

    /// Whether nothing of it is supervised.
    var isIdle: Bool { service == nil && logger == nil }

    /// Whether something of it is to be supervised that is not.
    var isUnfinished: Bool { isPresent && !isComplete && !isBeingCompleted }

    /// Whether all of it is supervised.
    var isComplete: Bool { service != nil && (logger != nil || !isLogged) }
}
