"""What the benchmarks share: candidates measured in turns, medians, ratios, memory, tables.

A benchmark is an executable script beside this file. It measures ours and the peers in one run, round
after round so that a busy moment of the machine meets all of them, and prints medians:

    import measure
    samples = measure.rounds({"apus": ours, "daemontools": theirs}, repeats=7)
    measure.compare("run-file chain", "ms", samples, ours="apus",
                    targets=[measure.Target("daemontools", 10, "faster")])
"""

import contextlib
import dataclasses
import functools
import os
import pathlib
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("APUS_BIN", ROOT / "build/bin"))
WORK = ROOT / "build/bench"
# `QUICK=1 make bench` takes fewer rounds, to see that the benchmarks work.
QUICK = bool(os.environ.get("QUICK"))


@dataclasses.dataclass
class Target:
    """What is to be reached against the candidate `against`: with "faster", ours is to be at least
    `factor` times as good as it; with "ratio", ours is to be at most `factor` times its figure (or
    at least, where more is better); "limit" compares with the figure `factor` itself."""

    against: str
    factor: float
    kind: str = "ratio"


def environment(directory=BIN, **extra):
    """The environment in which every candidate runs; programs of `directory` are found first."""
    return {"PATH": f"{directory}:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", **extra}


def available(*programs):
    """Whether all `programs` are installed; says which is missing, so that no peer is left out
    silently."""
    missing = [name for name in programs
               if not shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")]
    for name in missing:
        print(f"  (not installed, left out: {name})")
    return not missing


def compiled(name, source, *flags):
    """The path of a static C program: the bare loop a figure is held against."""
    WORK.mkdir(parents=True, exist_ok=True)
    path, text = WORK / name, WORK / f"{name}.c"
    if not path.exists() or not text.exists() or text.read_text() != source:
        text.write_text(source)
        subprocess.run(["gcc", "-O2", "-static", "-Wall", *flags, "-o", path, text], check=True)
    return path


def rounds(candidates, repeats=5, warm_up=1):
    """Calls every candidate once per round, each round beginning with another one, and returns
    name -> list of figures. A candidate is a function without arguments that returns its figure."""
    samples = {name: [] for name in candidates}
    for number in range(warm_up + (min(repeats, 2) if QUICK else repeats)):
        first = number % len(candidates)
        for name in [*candidates][first:] + [*candidates][:first]:
            figure = candidates[name]()
            if number >= warm_up:
                samples[name].append(figure)
    return samples


@contextlib.contextmanager
def undisturbed():
    """Has this process, and what it starts meanwhile, go before whatever else the machine does, as
    `chrt -r 5` would, if it may. Only for what is timed: the kernel stops real-time processes for a
    while when they leave nothing to others."""
    before, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(5))
    except PermissionError:
        _say_once("  (without real-time priority: other processes are in the way)")
    try:
        yield
    finally:
        os.sched_setscheduler(0, before, parameter)


_say_once = functools.cache(print)


def seconds(function):
    """Makes a candidate that returns how long `function` takes."""
    def timed():
        start = time.perf_counter()
        function()
        return time.perf_counter() - start
    return timed


def table(columns, rows):
    """Prints rows under column headings, the first column to the left, all others to the right."""
    cells = [[str(cell) for cell in row] for row in [columns, *rows]]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    for number, row in enumerate(cells):
        line = "  ".join(cell.ljust(width) if index == 0 else cell.rjust(width)
                         for index, (cell, width) in enumerate(zip(row, widths)))
        print(f"  {line.rstrip()}")
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))
    sys.stdout.flush()


def title(text):
    """Prints the heading of one measurement."""
    print(f"\n{text}")
    sys.stdout.flush()


def number(figure):
    """A figure with about three significant digits."""
    if figure == 0:
        return "0"
    for limit, form in ((100, "{:,.0f}"), (10, "{:.1f}"), (1, "{:.2f}")):
        if abs(figure) >= limit:
            return form.format(figure)
    return f"{figure:.3f}" if abs(figure) >= 0.01 else f"{figure:.2g}"


def compare(heading, unit, samples, ours="apus", more_is_better=False, targets=()):
    """Prints the median, the range and the ratio to ours of every candidate, then for each target
    whether it is reached. Returns name -> median."""
    title(f"{heading} ({unit}, {'more' if more_is_better else 'less'} is better)")
    medians = {name: statistics.median(figures) for name, figures in samples.items()}
    rows = []
    for name, figures in samples.items():
        ratio = "" if name == ours or not medians[name] else number(medians[ours] / medians[name])
        rows.append([name, number(medians[name]),
                     f"{number(min(figures))}–{number(max(figures))}", ratio])
    table(["", "median", "range", f"{ours} ÷ it"], rows)
    for target in targets:
        judge(medians, target, ours, more_is_better)
    return medians


def judge(medians, target, ours="apus", more_is_better=False):
    """Prints whether a target is reached."""
    if target.kind == "limit":
        figure, what = medians[ours], f"{target.against}"
    elif target.against not in medians or not medians[target.against]:
        return
    elif target.kind == "faster":
        quotient = medians[ours] / medians[target.against]
        figure = quotient if more_is_better else 1 / quotient
        verdict = "reached" if figure >= target.factor else "MISSED"
        print(f"  {verdict}: {number(figure)} times as good as {target.against}, "
              f"wanted {number(target.factor)}")
        return
    else:
        figure, what = medians[ours] / medians[target.against], f"of {target.against}"
    good = figure >= target.factor if more_is_better else figure <= target.factor
    bound = "at least" if more_is_better else "at most"
    print(f"  {'reached' if good else 'MISSED'}: {number(figure)} {what}, "
          f"wanted {bound} {number(target.factor)}")


def children(pid):
    """Every descendant of a process, itself first."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in pathlib.Path(f"/proc/{parent}/task").iterdir():
                found += [int(word) for word in (task / "children").read_text().split()]
    return found


@dataclasses.dataclass
class Memory:
    """Resident memory in KiB. `anonymous` is what no file backs: the kernel cannot take it back, and it
    is the same from every copy of a program. `pss` shares each page among those who map it, and
    depends on how large the pieces are in which the kernel keeps the file."""

    anonymous: int = 0
    pss: int = 0


def memory(pids):
    """The sum over `pids`, from smaps_rollup."""
    total = Memory()
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
            key, value = line.split()[:2]
            if key == "Anonymous:":
                total.anonymous += int(value)
            elif key == "Pss:":
                total.pss += int(value)
    return total


def wake_ups(pids):
    """How often `pids` have gone to sleep of their own will until now, which is how often they were
    woken."""
    return sum(int(line.split()[1]) for pid in pids
               for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
               if line.startswith("voluntary_ctxt_switches"))


def wait_for(condition, what, limit=60):
    """Waits until `condition()` is true and returns its value."""
    deadline = time.monotonic() + limit
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {limit} s")
        time.sleep(0.001)
    return value


def machine():
    """One line about where the figures were taken."""
    model = next((line.split(":", 1)[1].strip()
                  for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} × {model}, Linux {platform.release()}"


@contextlib.contextmanager
def first(command, directory, output=None):
    """`command` as process 1, with `output` for itself and its services; yields its process id here. All its processes end with the block."""
    process = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", "--", *map(str, command)], cwd=directory,
        env=environment("/usr/bin"), stdin=subprocess.DEVNULL, stdout=output,
        stderr=subprocess.DEVNULL)
    try:
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        yield lambda: int(wait_for(
            lambda: process.poll() is None and children.read_text().split(), str(command))[0])
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
