import CSeccomp

// The words of profiles: fields of their objects, and choices.

/// The fields of a profile.
enum ProfileField: NamedCase {
    case defaultAction, defaultErrnoRet, defaultErrno, architectures, archMap, syscalls, flags,
        listenerPath, listenerMetadata

    var name: StaticString {
        switch self {
        case .defaultAction: "defaultAction"
        case .defaultErrnoRet: "defaultErrnoRet"
        case .defaultErrno: "defaultErrno"
        case .architectures: "architectures"
        case .archMap: "archMap"
        case .syscalls: "syscalls"
        case .flags: "flags"
        case .listenerPath: "listenerPath"
        case .listenerMetadata: "listenerMetadata"
        }
    }
}

/// The fields of an entry of Docker's map of architectures.
enum ArchitectureField: NamedCase {
    case architecture, subArchitectures

    var name: StaticString {
        switch self {
        case .architecture: "architecture"
        case .subArchitectures: "subArchitectures"
        }
    }
}

/// The fields of a rule.
enum RuleField: NamedCase {
    case name, names, action, errnoRet, errno, args, comment, includes, excludes

    var name: StaticString {
        switch self {
        case .name: "name"
        case .names: "names"
        case .action: "action"
        case .errnoRet: "errnoRet"
        case .errno: "errno"
        case .args: "args"
        case .comment: "comment"
        case .includes: "includes"
        case .excludes: "excludes"
        }
    }
}

/// The fields of the profileTarget in which a rule holds, or does not.
enum ConditionField: NamedCase {
    case caps, arches, minKernel

    var name: StaticString {
        switch self {
        case .caps: "caps"
        case .arches: "arches"
        case .minKernel: "minKernel"
        }
    }
}

/// The fields of a comparison.
enum ArgumentField: NamedCase {
    case index, value, valueTwo, op

    var name: StaticString {
        switch self {
        case .index: "index"
        case .value: "value"
        case .valueTwo: "valueTwo"
        case .op: "op"
        }
    }
}

/// Actions, after SCMP_ACT_.
enum ProfileAction: NamedCase {
    case allow, fail, trace, log, trap, killProcess, kill, killThread, notify

    var name: StaticString {
        switch self {
        case .allow: "ALLOW"
        case .fail: "ERRNO"
        case .trace: "TRACE"
        case .log: "LOG"
        case .trap: "TRAP"
        case .killProcess: "KILL_PROCESS"
        case .kill: "KILL"
        case .killThread: "KILL_THREAD"
        case .notify: "NOTIFY"
        }
    }
}

/// Flags, after SECCOMP_FILTER_FLAG_.
enum ProfileFlag: NamedCase {
    case log, allowSpeculation, allThreads, killableListener

    var name: StaticString {
        switch self {
        case .log: "LOG"
        case .allowSpeculation: "SPEC_ALLOW"
        case .allThreads: "TSYNC"
        case .killableListener: "WAIT_KILLABLE_RECV"
        }
    }
}

/// What a comparison asks, after SCMP_CMP_.
enum ProfileRelation: NamedCase {
    case notEqual, less, lessOrEqual, equal, greaterOrEqual, greater, maskedEqual

    var name: StaticString {
        switch self {
        case .notEqual: "NE"
        case .less: "LT"
        case .lessOrEqual: "LE"
        case .equal: "EQ"
        case .greaterOrEqual: "GE"
        case .greater: "GT"
        case .maskedEqual: "MASKED_EQ"
        }
    }

    /// As it is written in C, for people.
    var sign: StaticString {
        switch self {
        case .notEqual: "!="
        case .less: "<"
        case .lessOrEqual: "<="
        case .equal, .maskedEqual: "=="
        case .greaterOrEqual: ">="
        case .greater: ">"
        }
    }

    /// In libseccomp's enumeration.
    var libseccompValue: scmp_compare {
        switch self {
        case .notEqual: SCMP_CMP_NE
        case .less: SCMP_CMP_LT
        case .lessOrEqual: SCMP_CMP_LE
        case .equal: SCMP_CMP_EQ
        case .greaterOrEqual: SCMP_CMP_GE
        case .greater: SCMP_CMP_GT
        case .maskedEqual: SCMP_CMP_MASKED_EQ
        }
    }
}
