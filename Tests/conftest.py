"""Finds the release binary and the shared helpers for every end-to-end test."""

import ctypes
import pathlib
import platform
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Support"))
# A difference that the harness finds is shown, not only that there is one.
pytest.register_assert_rewrite("harness")

# A caller may have these ignored, in the background or under nohup; what tests start must not inherit
# that, since a shell cannot trap what was ignored when it started.
for number in signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGCHLD:
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# make(1) ignores the two that the C library keeps to itself, and lets nobody change: rt_sigaction(2) does.
for number in 32, 33:
    ctypes.CDLL(None).syscall(13 if platform.machine() == "x86_64" else 134, number, (ctypes.c_ulong * 4)(), None, 8)
