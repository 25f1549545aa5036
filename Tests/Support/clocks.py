"""A process whose time of day is another one, and can be set: as its tracer, which answers for the kernel."""

import ctypes
import os
import signal
import struct
import threading

from apus import environment, wait_for
from services import descendants
from stepping import ALL, Registers, ptrace

_TRACEME, _CONT, _SETOPTIONS, _SYSCALL, _GETREGS = 0, 7, 0x4200, 24, 12
_OPTIONS = 1 | 0x100000  # PTRACE_O_TRACESYSGOOD, PTRACE_O_EXITKILL
_CLOCK_GETTIME, _ENOSYS = 228, (1 << 64) - 38
_VDSO, _IGNORE = 33, 1  # AT_SYSINFO_EHDR, AT_IGNORE


class Clocked:
    """Runs a static program in which CLOCK_REALTIME is `offset` seconds away from what it is, also after it has executed
    another one. Its children are not followed."""

    def __init__(self, *command, stderr):
        self.offset, self.pid, self.status = 0, None, None
        self._command, self._stderr = [os.fspath(word) for word in command], stderr
        self._thread = threading.Thread(target=self._trace, daemon=True)

    def __enter__(self):
        self._thread.start()
        wait_for(lambda: self.pid, "the process")
        return self

    def __exit__(self, *_):
        if self._thread.is_alive():
            for pid in [*descendants(self.pid), self.pid]:
                os.kill(pid, signal.SIGKILL)
        self._thread.join(10)

    def wait(self):
        """Its exit code."""
        self._thread.join(20)
        return os.waitstatus_to_exitcode(self.status)

    def _trace(self):
        pid = os.fork()
        if pid == 0:
            try:
                os.dup2(self._stderr.fileno(), 2)
                ptrace(_TRACEME, 0)
                os.execve(self._command[0], self._command, environment())
            finally:
                os._exit(127)
        os.waitpid(pid, ALL)
        ptrace(_SETOPTIONS, pid, None, ctypes.c_void_p(_OPTIONS))
        self._hide_vdso(pid)
        self.pid, met = pid, 0
        while True:
            ptrace(_SYSCALL, pid, None, ctypes.c_void_p(met))
            _, status = os.waitpid(pid, ALL)
            if not os.WIFSTOPPED(status):
                self.status = status
                return
            met = os.WSTOPSIG(status)
            if met == signal.SIGTRAP | 0x80:
                met = 0
                self._answer(pid)
            elif met == signal.SIGTRAP:
                # It has executed a program.
                met = 0
                self._hide_vdso(pid)

    def _answer(self, pid):
        registers = self._registers(pid)
        if registers.orig_rax != _CLOCK_GETTIME or registers.rdi != 0 or registers.rax == _ENOSYS:
            return
        with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(registers.rsi)
            seconds, = struct.unpack("q", memory.read(8))
            memory.seek(registers.rsi)
            memory.write(struct.pack("q", seconds + self.offset))

    def _hide_vdso(self, pid):
        """With that, it would ask the kernel for nothing: getauxval(3)."""
        with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
            place = self._registers(pid).rsp
            words = (place + 8 * count for count in range(1 << 20))

            def word():
                address = next(words)
                memory.seek(address)
                return address, struct.unpack("Q", memory.read(8))[0]
            word()
            for _ in range(2):
                # Arguments, variables.
                while word()[1]:
                    pass
            while (found := word())[1]:
                if found[1] == _VDSO:
                    memory.seek(found[0])
                    memory.write(struct.pack("Q", _IGNORE))
                word()

    def _registers(self, pid):
        registers = Registers()
        ptrace(_GETREGS, pid, None, ctypes.cast(ctypes.byref(registers), ctypes.c_void_p))
        return registers
