"""What the tests of programs that become others share: children that show what they are given."""

from harness import Case

# Prints arguments and environment as Python sees bytes; PATH differs by design of the harness.
SHOW = ("import os,sys; print([os.fsencode(a) for a in sys.argv[1:]]); "
        "print(sorted(e for e in os.environb.items() if e[0] not in (b'PATH', b'LC_CTYPE')))")
LIMITS = ("import resource as r; print({n: r.getrlimit(getattr(r, n)) for n in dir(r) "
          "if n.startswith('RLIMIT_') and n != 'RLIMIT_OFILE'})")
PYTHON = "/usr/bin/python3"


def show(program, *arguments, name, **options):
    """A case whose child prints what it is given."""
    return Case(name, program, [*arguments, PYTHON, "-c", SHOW], **options)


def sh(name, program, script, **options):
    """A case that is a shell script."""
    return Case(name, program, script=script, **options)
