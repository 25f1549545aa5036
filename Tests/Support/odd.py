"""Something else where a file is expected."""

import contextlib
import os
import socket


def make_other(kind, path):
    """Makes a directory, a FIFO or a socket of that name; False where it is another kind that is wanted."""
    if kind == "directory":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        # The path may be too long for an address.
        with socket.socket(socket.AF_UNIX) as listener, contextlib.chdir(path.parent):
            listener.bind(path.name)
    else:
        return False
    return True
