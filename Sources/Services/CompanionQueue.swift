/// What a service is to be sent or told with the help of its companions, in order: a signal waits until the program of
/// `control` has been asked, and whatever comes after waits for the signal. Times are nanoseconds of a clock that never
/// goes back.
struct CompanionQueue: Equatable {
    /// How long a program of `control` may take, unless the service is killed before. runit waits for ever, and for
    /// nothing else meanwhile.
    static let patience: UInt64 = .seconds(60)
    /// No more than this waits; what comes then is done without.
    static let most = 64

    /// What waits.
    enum Request: Equatable {
        /// A signal, unless the program of this letter exits 0; without a letter it only waits for its turn.
        case signal(pid: Int32, ServiceSignal, ServiceDefinition.Reach, asking: UInt8?)
        /// A program that is only told of the command.
        case word(UInt8)
        /// `notify`, for whose end nobody waits.
        case notice(Companion)

        /// The program that it takes.
        var companion: Companion? {
            switch self {
            case .signal(_, _, _, let letter): letter.map { .control($0) }
            case .word(let letter): .control(letter)
            case .notice(let companion): companion
            }
        }
    }

    /// How far the first request is.
    enum State: Equatable {
        /// Nothing has been done for it.
        case idle
        /// Its program is being started.
        case starting
        /// Its program is to be started at this time.
        case waiting(until: UInt64)
        /// Its program has a process, which is killed at this time.
        case asking(pid: Int32, until: UInt64)
    }

    /// What waits, the first of which is under way.
    private(set) var requests: [Request] = []
    /// How far that is.
    private(set) var state = State.idle

    init() {}

    init(requests: [Request], state: State) {
        self.requests = requests
        self.state = state
    }

    /// Adds a request. One that already waits at the end is not worth a second turn.
    mutating func add(_ request: Request) {
        let isKnown = requests.count > 1 && requests.last == request
        if !isKnown && requests.count < CompanionQueue.most { requests.append(request) }
    }

    /// What to do next.
    enum Step: Equatable {
        case start(Companion)
        case send(pid: Int32, ServiceSignal, ServiceDefinition.Reach)
    }

    /// The next step, if there is one now.
    mutating func next() -> Step? {
        guard state == .idle, let request = requests.first else { return nil }
        if let companion = request.companion {
            state = .starting
            return .start(companion)
        }
        return resolve(isAnswered: false)
    }

    /// Notes what came of a start at `now`; a program that answers has so many nanoseconds.
    mutating func note(_ outcome: CompanionOutcome, limit: UInt64, at now: UInt64) -> Step? {
        guard state == .starting else { return nil }
        switch outcome {
        case .congested: state = .waiting(until: now + ServiceMachine.longCongestion)
        case .started(let pid):
            guard case .notice = requests.first else {
                state = .asking(pid: pid, until: now + limit)
                return nil
            }
            return resolve(isAnswered: true)
        case .absent: return resolve(isAnswered: false)
        }
        return nil
    }

    /// Notes that the program that was asked has ended.
    mutating func noteEnd(_ death: Death) -> Step? {
        resolve(isAnswered: death.status == 0 && death.startError == 0)
    }

    /// The first request is over. Its signal is sent unless the program has answered in its place.
    private mutating func resolve(isAnswered: Bool) -> Step? {
        state = .idle
        guard !requests.isEmpty else { return nil }
        if case .signal(let pid, let signal, let reach, _) = requests.removeFirst(), !isAnswered {
            return .send(pid: pid, signal, reach)
        }
        return nil
    }

    /// Takes that the time has come; returns the process to kill, if one took too long.
    mutating func passTime(at now: UInt64) -> Int32? {
        switch state {
        case .waiting(let time) where time <= now: state = .idle
        case .asking(let pid, let time) where time <= now:
            state = .asking(pid: pid, until: now + ServiceMachine.killInterval)
            return pid
        default: break
        }
        return nil
    }

    /// When to call `passTime`; nil for never.
    var deadline: UInt64? {
        switch state {
        case .waiting(let time), .asking(_, let time): time
        case .idle, .starting: nil
        }
    }

    /// The process that was asked; 0 when there is none.
    var pid: Int32 { if case .asking(let pid, _) = state { pid } else { 0 } }
}
