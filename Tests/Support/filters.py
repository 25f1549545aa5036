"""System call filters as the kernel has them, and a machine to run them on."""

import contextlib
import ctypes
import os
import struct

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_SEIZE, _INTERRUPT, _DETACH, _GET_FILTER = 0x4206, 0x4207, 17, 0x420c
_WAIT_ALL = 0x40000000
_INSTRUCTION = struct.Struct("=HBBI")


def _ptrace(request, pid, address=None, data=None):
    result = _libc.ptrace(request, pid, address, data)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def parsed(data):
    """The instructions in bytes: code, skip if true, skip if false, value."""
    return list(_INSTRUCTION.iter_unpack(data))


def filters(pid):
    """The filters on a process, newest first."""
    _ptrace(_SEIZE, pid)
    found = []
    try:
        _ptrace(_INTERRUPT, pid)
        os.waitpid(pid, _WAIT_ALL)
        with contextlib.suppress(FileNotFoundError):
            while True:
                count = _ptrace(_GET_FILTER, pid, len(found))
                buffer = ctypes.create_string_buffer(_INSTRUCTION.size * count)
                _ptrace(_GET_FILTER, pid, len(found), buffer)
                found.append(parsed(buffer.raw))
    finally:
        _ptrace(_DETACH, pid)
    return found


def answer(program, number, architecture, arguments):
    """What a filter says of a call."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, *arguments)
    words = struct.unpack("=16I", data)
    place = accumulator = 0
    while True:
        code, if_true, if_false, value = program[place]
        place += 1
        if code == 0x20:
            accumulator = words[value // 4]
        elif code == 0x06:
            return value
        elif code == 0x05:
            place += value
        elif code == 0x54:
            accumulator &= value
        else:
            holds = {0x15: accumulator == value, 0x25: accumulator > value,
                     0x35: accumulator >= value, 0x45: accumulator & value != 0}[code]
            place += if_true if holds else if_false
