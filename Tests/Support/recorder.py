"""A command that tells which signals it gets: run as `recorder.py FENCE [group|session]`. It blocks all, says `ready`,
and at the signal FENCE says all it has got since, before FENCE or with it. With `group` a second process of its group does
so too, with `session` one of another session, and each says its own line."""

import os
import signal
import sys

fence, apart = int(sys.argv[1]), sys.argv[2:]
every = {number for number in range(1, 65) if number not in (9, 19, 32, 33)}
signal.pthread_sigmask(signal.SIG_SETMASK, every)
reader, writer = os.pipe()
other = os.fork() if apart else None
if other == 0:
    if apart == ["session"]:
        os.setsid()
    os.write(writer, b"x")
if apart and other:
    os.read(reader, 1)
    print("ready", flush=True)
elif not apart:
    print("ready", flush=True)
got = []
while True:
    number = int(signal.sigwait(every))
    # Its own: for the other one the time to speak, for this one the end of the other.
    last = fence if other != 0 else 64
    if number != last:
        got += [number] if number != fence or other != 0 else []
        continue
    while (more := signal.sigtimedwait(every, 0)) is not None:
        got.append(more.si_signo)
    if other == 0:
        os.write(writer, (" ".join(map(str, sorted(set(got) - {fence, 64}))) + "\n").encode())
        got = []
        continue
    if other:
        os.kill(other, 64)
        theirs = os.read(reader, 4096).decode()
        got = [one for one in got if one != 17]
        print("main", *sorted(got), "other", theirs.strip(), flush=True)
    else:
        print("main", *sorted(got), flush=True)
    got = []
