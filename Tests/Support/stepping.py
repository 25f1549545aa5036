"""Stops a process at one of its system calls, before or after it, and has it meet a fault there."""

import ctypes
import os
import signal

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long
_SEIZE, _INTERRUPT, _SYSCALL, _CONT, _DETACH = 0x4206, 0x4207, 24, 7, 17
_GETREGS, _SETREGS = 12, 13
_OPTIONS = 1  # PTRACE_O_TRACESYSGOOD
_ALL = 0x40000000  # __WALL
_WAITS = (232, 281)  # epoll_wait, epoll_pwait


class _Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in (
        "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base "
        "ds es fs gs").split()]


def _ptrace(request, pid, address=None, data=None):
    if _libc.ptrace(request, pid, address, data) == -1:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")


class Stepper:
    """Traces a process, not its children."""

    def __init__(self, pid):
        self.pid = pid
        _ptrace(_SEIZE, pid, None, ctypes.c_void_p(_OPTIONS))
        _ptrace(_INTERRUPT, pid)
        os.waitpid(pid, _ALL)

    def _registers(self):
        registers = _Registers()
        _ptrace(_GETREGS, self.pid, None, ctypes.cast(ctypes.byref(registers), ctypes.c_void_p))
        return registers

    def _next_stop(self, number=0):
        """Goes on to the next begin or end of a system call; None when it is over."""
        while True:
            _ptrace(_SYSCALL, self.pid, None, ctypes.c_void_p(number))
            _, status = os.waitpid(self.pid, _ALL)
            if not os.WIFSTOPPED(status):
                return None
            number = os.WSTOPSIG(status)
            if number == signal.SIGTRAP | 0x80:
                return self._registers()
            if status >> 16:
                number = 0

    def fault_at(self, count, before, is_done, fault=signal.SIGSEGV):
        """Lets `count` system calls pass, but for waits, and has the process meet a fault before the next one is made, or
        after it. Returns its number; None, without a fault, when it waits and `is_done()` is true before that. Detaches."""
        passed = 0
        while True:
            entry = self._next_stop()
            assert entry is not None, "it ended"
            number = entry.orig_rax
            if number in _WAITS:
                if is_done():
                    _ptrace(_DETACH, self.pid)
                    return None
            elif passed == count and before:
                # The call is not made at all.
                entry.orig_rax = ctypes.c_ulonglong(-1).value
                _ptrace(_SETREGS, self.pid, None, ctypes.cast(ctypes.byref(entry), ctypes.c_void_p))
                return self._fault(fault, number)
            assert self._next_stop() is not None, "it ended"
            if number not in _WAITS:
                if passed == count:
                    return self._fault(fault, number)
                passed += 1

    def own_fault(self, fault=signal.SIGSEGV):
        """Has the process meet a fault as if it were of its own making. Detaches."""
        self._next_stop()
        self._send(fault)
        _ptrace(_DETACH, self.pid, None, ctypes.c_void_p(int(fault)))

    def _send(self, fault):
        """At the begin or end of a call: has the kernel send a signal, and goes on until it is about to be met."""
        number = int(fault)
        while True:
            _ptrace(_SYSCALL, self.pid, None, ctypes.c_void_p(number))
            _, status = os.waitpid(self.pid, _ALL)
            assert os.WIFSTOPPED(status), status
            if os.WSTOPSIG(status) == fault:
                return
            number = 0

    def own_faults(self, count, fault=signal.SIGSEGV):
        """Has the process meet a fault as if it were of its own making, and each next image of it as soon as it is ready for
        one. Detaches."""
        self._next_stop()
        for number in range(count):
            self._send(fault)
            execs, met = 0, int(fault)
            while True:
                registers = self._next_stop(met)
                met = 0
                assert registers is not None, "it ended"
                execs += registers.orig_rax in (59, 322)
                # rt_sigprocmask(SIG_UNBLOCK): those of faults, in the next image.
                if execs and registers.orig_rax == 14 and registers.rdi == 1:
                    self._next_stop()
                    break
        _ptrace(_DETACH, self.pid)

    def _fault(self, fault, number):
        os.kill(self.pid, fault)
        # The signal is met on the way back from the call.
        while True:
            _ptrace(_CONT, self.pid)
            _, status = os.waitpid(self.pid, _ALL)
            assert os.WIFSTOPPED(status), status
            if os.WSTOPSIG(status) == fault:
                _ptrace(_DETACH, self.pid, None, ctypes.c_void_p(int(fault)))
                return number
