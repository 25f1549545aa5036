import Bytes
import Commands
import Linux

/// invoke-run(8): what run files of Debian's packages have as their interpreter. A service that is not to run here is
/// kept down; the file itself is read by the shell, with the settings of /etc/default in its environment.
func invokeRun(_ call: Call) throws(Failure) -> Outcome {
    guard call.arguments.count > 1 else { throw Failure(usage: "invoke-run file [ arg ... ]") }
    return .become(shell(runScript, call))
}

/// finish-exec(8): what finish files of Debian's packages end in. It tells what the exit code of run means, and keeps
/// down what cannot run.
func finishExec(_ call: Call) throws(Failure) -> Outcome {
    guard call.arguments.count > 1 else { throw Failure(usage: "finish-exec code [ status ]") }
    return .become(shell(finishScript, call))
}

/// The settings are shell, so a shell reads them.
private func shell(_ script: ByteString, _ call: Call) -> Invocation {
    Invocation(
        "/bin/sh", arguments: ["sh", "-c", script, "invoke-run"] + call.arguments.dropFirst(),
        environment: call.environment)
}

private let runScript: ByteString = #"""
    set -eu
    export NAME="${PWD##*/}"
    default=/etc/default/$NAME
    script=/etc/init.d/$NAME
    known=/usr/share/runit
    stay_down() {
        [ $# = 0 ] || echo "invoke-run: $NAME: $1"
        sv down "$PWD" || :
        exit 0
    }
    has() { [ -e "$PWD/.meta/$1" ]; }
    read_settings() {
        [ -r "$1" ] || return 0
        set -a +u
        . "$1"
        set +a -u
    }
    if [ -x /usr/sbin/policy-rc.d ]; then
        code=0
        /usr/sbin/policy-rc.d "$NAME" start || code=$?
        [ "$code" != 101 ] || stay_down "denied by policy-rc.d"
    fi
    if has installed && [ ! -f "$known/meta/$NAME/installed" ] && [ ! -d "$known/sv/$NAME" ]; then
        stay_down "the package is not installed"
    fi
    if has bin && ! [ -e "$(cat .meta/bin)" ]; then
        stay_down "the program is not installed"
    fi
    read_settings /etc/default/runit
    read_settings "$default"
    if [ -x "$script" ]; then
        if { has noreplace || [ -f "$known/meta/$NAME/noreplace" ]; } &&
            "$script" status --force-sysv > /dev/null 2>&1; then
            stay_down
        fi
        if [ ! -h "$script" ]; then "$script" stop --force-sysv > /dev/null; fi
    fi
    if [ -d env ]; then exec chpst -e ./env /bin/sh "$@"; fi
    exec /bin/sh "$@"
    """#

private let finishScript: ByteString = #"""
    set -eu
    name=${PWD##*/}
    fails() {
        echo "invoke-run: $1 in $name: $2"
        sv down "$PWD" || :
    }
    case $1 in
    -1) echo "invoke-run: ERROR -1 in $name: run was ended by a signal" ;;
    161) fails WARNING "disabled by local settings" ;;
    162) fails "ERROR 162" "configtest or early setup failed" ;;
    170) fails "ERROR 170" "something that it needs is missing" ;;
    esac
    if [ -e /etc/runit/verbose ]; then echo "invoke-run: $name stopped"; fi
    if [ -e /etc/runit/debug ]; then echo "invoke-run: $name: the exit code of run is $1"; fi
    """#
