"""What the benchmarks of programs that become another share: starting one so often, around a static
program that does nothing."""

import os
import subprocess

import measure

# Starts a program so often, one after the other, before all other processes where that is allowed;
# prints the median of their microseconds. Each finds descriptor 9, if there is one, at its start.
LOOP = r"""
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    int count = atoi(argv[1]), status;
    double *times = calloc(count, sizeof *times);
    struct sched_param priority = {.sched_priority = 1};
    (void)argc;
    sched_setscheduler(0, SCHED_FIFO, &priority);
    for (int i = 0; i < count; i++) {
        struct timespec start, end;
        lseek(9, 0, SEEK_SET);
        clock_gettime(CLOCK_MONOTONIC, &start);
        pid_t pid = vfork();
        if (pid == 0) {
            execve(argv[2], argv + 2, environ);
            _exit(111);
        }
        if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
            return 111;
        clock_gettime(CLOCK_MONOTONIC, &end);
        times[i] = (end.tv_sec - start.tv_sec) * 1e6 + (end.tv_nsec - start.tv_nsec) / 1e3;
    }
    qsort(times, count, sizeof *times, compare);
    printf("%f\n", times[count / 2]);
    return 0;
}
"""
# What every chain ends in: the least there is to exec, so that the chain is what is measured.
NOTHING = r"""
void _start(void)
{
#if defined __x86_64__
    __asm__ volatile("syscall" : : "a"(60), "D"(0));
#elif defined __aarch64__
    register long number __asm__("x8") = 93, code __asm__("x0") = 0;
    __asm__ volatile("svc 0" : : "r"(number), "r"(code));
#endif
}
"""
COUNT = 50 if measure.QUICK else 400


def nothing():
    """The path of the program that does nothing."""
    return str(measure.compiled("nothing", NOTHING, "-nostdlib"))


def candidates(commands, **options):
    """One candidate for each command line, a directory and words, whose program is installed; `options`
    are for subprocess.run."""
    found = {}
    loop = str(measure.compiled("spawn-loop", LOOP))
    for name, (directory, *words) in commands.items():
        program = os.path.join(directory, words[0])
        if not os.path.exists(program):
            print(f"  (not installed, left out: {name})")
            continue
        command = [loop, str(COUNT), program, *words[1:]]

        def run(command=command, directory=directory):
            result = subprocess.run(command, env=measure.environment(directory), check=True,
                                    capture_output=True, **options)
            return float(result.stdout)
        found[name] = run
    return found
