"""Where our programs deliberately differ from Debian's: program -> case of Tests/Differential -> why. The
case must differ, so that a stale entry is noticed."""

_LABEL = "the original crashes on a label that is no time of the calendar; ours passes it on"
_FOREIGN = "data that tcprules cannot have written is not taken for permission"
_STANDS_STILL = "the original tries again for ever"
_VISIBLE = "what is not printable in a name is shown as \\n or \\xff"
_NO_LINK = "no link in supervise is followed, which the message says"

_NOT_ROOT = "nothing at all, and a number that is no id, is an error; the original becomes root"

_CHECK = "check waits for what was asked for, as documented; the original takes any state for it"

_LAST_LINE = "the original loses the last line"
_PLUS = "what follows a plus is looked for too; the original takes the end of the line for all of it"

_MASK = "the original blocks TSTP, TTIN and TTOU in the command, which no terminal can suspend then"
_LEAVES = "the init leaves its directory, as newer versions of the original do"
_NO_INPUT = "a closed standard input keeps no command from being run"

DIFFERENCES = {
    "catatonit": {
        "catatonit: catatonit: signals": _MASK,
        "catatonit: catatonit: HUP ignored": _MASK,
        "catatonit: catatonit: TTIN and TTOU ignored": _MASK,
        "catatonit: catatonit: the directory of the init": _LEAVES,
        "catatonit: catatonit -g: the directory of the init": _LEAVES,
    },
    "chpst": {
        "chpst: -u :uid: is not the group of root": _NOT_ROOT,
        "chpst: -u :uid:gid: is not the group of root": _NOT_ROOT,
        "chpst: -u ::gid is not root": _NOT_ROOT,
        "chpst: -u a number that wraps is not root": _NOT_ROOT,
        "chpst: -u a number beyond 32 bits is not root": _NOT_ROOT,
        "chpst: -u odd bytes": _VISIBLE,
        "chpst: a long option":
            "an error; the original takes any word that begins with two dashes for two dashes",
        "chpst: -V": "the version is that of Apus",
        "chpst: -e a dangling link": "the original gives the variable the value of the file read before",
        "chpst: -b a program that does not exist": "the program is named, not what it would be called",
    },
    "envdir": {
        "envdir: a dangling link": "the original gives the variable the value of the file read before",
    },
    "multilog": {
        "directory: current is a link to itself": "the message says that it is a link",
        "directory: current is a link to a file elsewhere": "no link in a log directory is followed",
        "directory: previous is a directory": _STANDS_STILL,
        "processor: has no state": _STANDS_STILL,
        "processor: removes its newstate": "an empty state has the permissions of any other",
        "found: a current of three names":
            "it is archived unless an archived file has the second name; the original removes it",
        "processor: crashes once":
            "the original warns twice and pauses twice, with a stale error text",
        "stdin: not blocking": "the original takes an empty pipe for its end and goes",
        "directory: a bad option": "--on-stall= is ours; for the original it is a pattern",
    },
    "setlock": {
        "setlock: a long option": "the original takes --word for -- and runs the child",
    },
    "pgrphack": {
        "exec: a name of odd bytes": _VISIBLE,
    },
    "setuidgid": {
        "setuidgid: an unknown account of odd bytes": _VISIBLE,
        "setuidgid: an unknown long option": "words that begin with -- are confinement options",
    },
    "softlimit": {
        "softlimit: an unknown long option": "the original takes --word for -- and runs the child",
    },
    "supervise": {
        "supervise: control is a directory":
            "says that it is no FIFO; the original, that it cannot be written",
        "supervise: odd bytes in the name": _VISIBLE,
        "supervise: run names an interpreter that is not there":
            "the line names the interpreter, since run itself is there",
    },
    "svscan": {
        "svscan: odd bytes in the name": _VISIBLE,
    },
    "sv": {
        "sv: -V": "the version is that of Apus",
        "sv: a long option":
            "an error; the original takes any word that begins with two dashes for two dashes",
        "sv: a service of odd bytes": _VISIBLE,
        "sv: ok is a file": "nothing but a FIFO tells of a supervisor",
        "sv: status a logger that is not supervised":
            "the original prints the service's status once more, as the logger's",
        "sv: check waits for one that is wanted up": _CHECK,
        "sv: check waits for one that is wanted down": _CHECK,
        "sv: check is called by its path": "it is called ./check, as documented",
        "sv: check is killed": "a check that was killed has not said that the service is available",
        "sv: init script: status and a logger that is down":
            "the exit code is that of the service; the original's is that of its logger",
    },
    "svc": {
        "svc: name with newline and odd bytes": _VISIBLE,
        "svc: control is a file": "nothing but a FIFO is written to",
        "svc: a full disk": _NO_LINK,
        "svc: control is a dangling link": _NO_LINK,
        "svc: control is a cyclic link": _NO_LINK,
        "svc: letters of daemontools-encore and runit":
            "-q -1 -2 -w are sent; daemontools' supervise ignores them",
        "svc: unknown letter beyond ASCII":
            "the line names the word: the C library has no letter for a byte beyond ASCII",
        "svc: long option":
            "an error; the original takes any word that begins with two dashes for two dashes",
    },
    "svlogd": {
        "svlogd: -V": "the version is that of Apus",
        "svlogd: a line without an end": _LAST_LINE,
        "svlogd: TERM within a line": _LAST_LINE,
        "svlogd: a directory that is a file": "it is opened as a directory, which says the same",
        "svlogd: a directory of odd bytes": _VISIBLE,
        "svlogd: -r in a long line": "the original replaces nothing beyond the limit of a line",
        "svlogd: what crashes left counts": "the original never removes a file of a crash",
        "svlogd: pattern +bx": _PLUS,
    },
    "svok": {
        "svok: name with odd bytes": _VISIBLE,
        "svok: ok is a file": "nothing but a FIFO tells of a supervisor",
        "svok: ok is a cyclic link": _NO_LINK,
    },
    "svstat": {
        "odd bytes in a name": _VISIBLE,
        "ok is a file: taken for a supervisor": "nothing but a FIFO tells of a supervisor",
        "svstat: status is a directory":
            "the error is reported; the original takes it for a full record and prints nonsense",
    },
    "tai64nlocal": {
        "tai64nlocal: a lone at sign": _LABEL,
        "tai64nlocal: an at sign and words": _LABEL,
        "tai64nlocal: upper-case digits": _LABEL,
        "tai64nlocal: a TAI64 label without nanoseconds": _LABEL,
        "tai64nlocal: 23 digits": _LABEL,
        "tai64nlocal: the greatest label": _LABEL,
        "tai64nlocal: the input ends within a label": "the original drops the label",
    },
    "tini": {
        "tini: tini: no input": _NO_INPUT,
        "tini: tini: nothing": _NO_INPUT,
    },
    "tcprules": {
        "trailing-cr": _VISIBLE,
        "trailing-vertical-tab": _VISIBLE,
        "bad-not-utf8": _VISIBLE,
        "cidr": "an IPv4 prefix in slash notation becomes the dotted prefixes it consists of",
        "cidr-length-33": "a prefix that cannot be is an error, not a rule that never matches",
        "ipv6": "an IPv6 address in brackets is an address",
        "ipv6-prefix": "so is a prefix",
    },
    "tcprulescheck": {
        "corrupt-item-unknown": _FOREIGN,
        "corrupt-item-unended": _FOREIGN,
        "corrupt-variable": _FOREIGN,
        "corrupt-zeroed-header": "a header of zeros is no database without rules",
        "corrupt-empty-file": "no header: the original reports the error of mapping an empty file",
        "corrupt-truncated-tables":
            "a file cut short lets nobody in, though the record is still there",
        "check-directory": "the original crashes",
        "check-fifo": "what is no file is no database; the original waits for a writer",
    },
    "tcpserver": {
        "port-not-utf8": _VISIBLE,
        "long-option": "a word that begins with two dashes is an option; the original skips it",
        "ipv6-host": "IPv6 addresses can be listened on",
    },
}
