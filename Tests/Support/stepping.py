"""Stops a process at one of its system calls, before or after it, and has it meet a fault there."""

import ctypes
import os
import pathlib
import re
import signal
import time

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long
_SEIZE, _INTERRUPT, _SYSCALL, _CONT, _DETACH = 0x4206, 0x4207, 24, 7, 17
_GETREGS, _SETREGS = 12, 13
_OPTIONS = 1  # PTRACE_O_TRACESYSGOOD
ALL = 0x40000000  # __WALL
_WAITS = (232, 281)  # epoll_wait, epoll_pwait
_EXECS = (59, 322)  # execve, execveat
_SIGPROCMASK, _SIGTIMEDWAIT = 14, 128


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in (
        "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base "
        "ds es fs gs").split()]


def ptrace(request, pid, address=None, data=None):
    if _libc.ptrace(request, pid, address, data) == -1:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")


class Stepper:
    """Traces a process, not its children."""

    def __init__(self, pid):
        self.pid = pid
        ptrace(_SEIZE, pid, None, ctypes.c_void_p(_OPTIONS))
        ptrace(_INTERRUPT, pid)
        os.waitpid(pid, ALL)

    def _registers(self):
        registers = Registers()
        ptrace(_GETREGS, self.pid, None, ctypes.cast(ctypes.byref(registers), ctypes.c_void_p))
        return registers

    def _next_stop(self, number=0):
        """Goes on to the next begin or end of a system call; None when it is over."""
        while True:
            ptrace(_SYSCALL, self.pid, None, ctypes.c_void_p(number))
            _, status = os.waitpid(self.pid, ALL)
            if not os.WIFSTOPPED(status):
                return None
            number = os.WSTOPSIG(status)
            if number == signal.SIGTRAP | 0x80:
                return self._registers()
            if status >> 16:
                number = 0

    def fault_at(self, count, before, is_done, fault=signal.SIGSEGV, ends=False):
        """Lets `count` system calls pass, but for waits, and has the process meet a fault before the next one is made, or
        after it. Returns its number; None, without a fault, when it waits and `is_done()` is true before that, or ends, if
        it may. Detaches."""
        passed = 0
        while True:
            entry = self._next_stop()
            if entry is None and ends:
                return None
            assert entry is not None, "it ended"
            number = entry.orig_rax
            if number in _WAITS:
                if not self._wait_over(is_done):
                    return None
                continue
            if passed == count and before:
                # The call is not made at all.
                entry.orig_rax = ctypes.c_ulonglong(-1).value
                self._set(entry)
                return self._fault(fault, number)
            if self._next_stop() is None:
                assert ends, "it ended"
                return None
            if passed == count:
                return self._fault(fault, number)
            passed += 1

    def _wait_over(self, is_done):
        """Goes on from the begin of a wait to its end. False when `is_done()` is true before that, or the process is about
        to end; detaches then."""
        number = 0
        while True:
            ptrace(_SYSCALL, self.pid, None, ctypes.c_void_p(number))
            while (found := os.waitpid(self.pid, ALL | os.WNOHANG)) == (0, 0):
                if is_done():
                    ptrace(_INTERRUPT, self.pid)
                    os.waitpid(self.pid, ALL)
                    ptrace(_DETACH, self.pid)
                    return False
                time.sleep(0.0005)
            if not os.WIFSTOPPED(found[1]):
                return False
            number = os.WSTOPSIG(found[1])
            if number == signal.SIGTRAP | 0x80:
                return True
            if found[1] >> 16:
                number = 0

    def second_fault_at(self, count, is_own, fault=signal.SIGSEGV):
        """Has the process meet a fault, and another one before the system call that comes after `count` more of them: in
        the handler or in the next image. One of its own is a jump to nowhere, which no mask holds back: it is left out
        from where the handler blocks such signals to where the next image unblocks them. Returns the number of that call,
        and whether it was met; None when the next image waits before that. Detaches."""
        os.kill(self.pid, fault)
        self._send_on(fault)
        passed, met = 0, int(fault)
        while True:
            entry, met = self._next_stop(met), 0
            assert entry is not None, "it ended"
            number = entry.orig_rax
            if number in _WAITS:
                ptrace(_DETACH, self.pid)
                return None
            if passed == count:
                if is_own and self._blocks(fault):
                    ptrace(_DETACH, self.pid)
                    return number, False
                if not is_own:
                    # Held back, or met as soon as the call has been made.
                    os.kill(self.pid, fault)
                    ptrace(_DETACH, self.pid)
                    return number, True
                entry.orig_rax, entry.rip = ctypes.c_ulonglong(-1).value, 16
                self._set(entry)
                self._send_on(fault)
                ptrace(_DETACH, self.pid, None, ctypes.c_void_p(int(fault)))
                return number, True
            assert self._next_stop() is not None, "it ended"
            passed += 1

    def _blocks(self, fault):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"SigBlk:\s*(\w+)", status)[1], 16) >> fault - 1 & 1

    def _set(self, registers):
        ptrace(_SETREGS, self.pid, None, ctypes.cast(ctypes.byref(registers), ctypes.c_void_p))

    def _send_on(self, fault, number=0):
        """Goes on until a signal that was sent is about to be met."""
        while True:
            ptrace(_SYSCALL, self.pid, None, ctypes.c_void_p(number))
            _, status = os.waitpid(self.pid, ALL)
            assert os.WIFSTOPPED(status), status
            if os.WSTOPSIG(status) == fault:
                return
            number = 0

    def own_fault(self, fault=signal.SIGSEGV):
        """Has the process meet a fault as if it were of its own making. Detaches."""
        self._next_stop()
        self._send(fault)
        ptrace(_DETACH, self.pid, None, ctypes.c_void_p(int(fault)))

    def _send(self, fault):
        """At the begin or end of a call: has the kernel send a signal, and goes on until it is about to be met."""
        self._send_on(fault, int(fault))

    def own_faults(self, count, fault=signal.SIGSEGV, early=False):
        """Has the process meet a fault as if it were of its own making, and each next image of it as soon as it supervises
        again, or as soon as it is ready for one. Detaches; not before it can be seen that there are no more."""
        self._next_stop()
        for _ in range(count):
            self._send(fault)
            execs, unblocked, met = 0, 0, int(fault)
            while True:
                registers, met = self._next_stop(met), 0
                assert registers is not None, "it ended"
                execs += registers.orig_rax in _EXECS
                # Those of faults, in the next image: at its very begin, and when it has what was left.
                unblocked += bool(execs and registers.orig_rax == _SIGPROCMASK and registers.rdi == signal.SIG_UNBLOCK)
                if unblocked == (2 if early else 4):
                    break
                if registers.orig_rax == _SIGTIMEDWAIT:
                    # It only reaps.
                    ptrace(_DETACH, self.pid)
                    return
        ptrace(_DETACH, self.pid)

    def fault_without_exec(self, fault=signal.SIGSEGV):
        """Has the process meet a fault, and no exec succeed after it. Detaches."""
        os.kill(self.pid, fault)
        self._send_on(fault)
        execs, met = 0, int(fault)
        while execs < 2:
            entry, met = self._next_stop(met), 0
            if entry.orig_rax in _EXECS:
                execs += 1
                entry.orig_rax = ctypes.c_ulonglong(-1).value
                self._set(entry)
            self._next_stop()
        ptrace(_DETACH, self.pid)

    def _fault(self, fault, number):
        os.kill(self.pid, fault)
        # The signal is met on the way back from the call.
        while True:
            ptrace(_CONT, self.pid)
            _, status = os.waitpid(self.pid, ALL)
            assert os.WIFSTOPPED(status), status
            if os.WSTOPSIG(status) == fault:
                ptrace(_DETACH, self.pid, None, ctypes.c_void_p(int(fault)))
                return number
