"""Counts what a program does, as its tracer."""

import ctypes
import os
import signal

_libc = ctypes.CDLL(None, use_errno=True)
_PTRACE_TRACEME, _PTRACE_CONT = 0, 7


def execs(*command, env, cwd=None):
    """Runs `command`, whose first word is a path, and returns how often the process called execve with
    success, and its wait status. Its children are not followed."""
    pid = os.fork()
    if pid == 0:
        try:
            if cwd is not None:
                os.chdir(cwd)
            _libc.ptrace(_PTRACE_TRACEME, 0, None, None)
            os.execve(os.fspath(command[0]), [os.fspath(word) for word in command], env)
        finally:
            os._exit(127)
    count = 0
    while True:
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            return count, status
        stopped = os.WSTOPSIG(status)
        # Without PTRACE_O_TRACEEXEC each exec of a traced process stops it with SIGTRAP.
        if stopped == signal.SIGTRAP:
            count, stopped = count + 1, 0
        _libc.ptrace(_PTRACE_CONT, pid, None, ctypes.c_void_p(stopped))
