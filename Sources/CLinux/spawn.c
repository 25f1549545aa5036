/*
 * Starting a program. The child shares our memory until it execs, on a stack of its own: it may only
 * make system calls and write to its own locals and to the request given. We may go on meanwhile,
 * and libc's errno is ours, so it makes the calls without libc.
 */
#include "CLinux.h"

#include <linux/close_range.h>
#include <linux/futex.h>
#include <sys/syscall.h>

/* Returns what the kernel does: an error is its negative number. */
#if defined __x86_64__
#define WAIT_WHERE_ERRNO_IS_SHARED 0
static long call(long number, long a, long b, long c, long d)
{
    register long fourth __asm__("r10") = d;
    __asm__ volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c), "r"(fourth)
                     : "rcx", "r11", "memory");
    return number;
}
#elif defined __aarch64__
#define WAIT_WHERE_ERRNO_IS_SHARED 0
static long call(long number, long a, long b, long c, long d)
{
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c, x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}
#else
#define WAIT_WHERE_ERRNO_IS_SHARED CLONE_VFORK
static long call(long number, long a, long b, long c, long d)
{
    long result = syscall(number, a, b, c, d);
    return result < 0 ? -errno : result;
}
#endif

static long exec_first(const char *const *paths, char *const *arguments, char *const *environment)
{
    long remembered = -ENOENT;
    for (; *paths; paths++) {
        long error = call(SYS_execve, (long)*paths, (long)arguments, (long)environment, 0);
        if (error == -ENOENT)
            continue;
        remembered = error;
        if (error != -EACCES && error != -EPERM && error != -EISDIR)
            break;
    }
    return remembered;
}

int cl_exec(const char *const *paths, char *const *arguments, char *const *environment)
{
    errno = (int)-exec_first(paths, arguments, environment);
    return -1;
}

/*
 * Puts a copy of source[i] at i. Sources below the count are moved out of the way first, since a later
 * target may be an earlier one's source. Copies lose close-on-exec, as they should.
 */
static long place_descriptors(int *source, int count)
{
    long result = 0;
    for (int i = 0; i < count && result >= 0; i++)
        if (source[i] >= 0 && source[i] < count && source[i] != i) {
            result = call(SYS_fcntl, source[i], F_DUPFD_CLOEXEC, count, 0);
            source[i] = (int)result;
        }
    for (int i = 0; i < count && result >= 0; i++)
        if (source[i] >= 0)
            result = source[i] == i ? call(SYS_fcntl, i, F_SETFD, 0, 0)
                                    : call(SYS_dup3, source[i], i, 0, 0);
    return result;
}

int cl_close_from(unsigned first) { return (int)syscall(SYS_close_range, first, ~0U, 0); }

/* The other one's source must not be overwritten before it is placed. */
static long place_all_descriptors(struct cl_spawn_request *spawn)
{
    long source = spawn->other_source, error;
    if (source >= 0 && source < spawn->descriptor_count &&
        (error = source = call(SYS_fcntl, source, F_DUPFD_CLOEXEC, spawn->descriptor_count, 0)) < 0)
        return error;
    if ((error = place_descriptors(spawn->descriptors, spawn->descriptor_count)) < 0 || source < 0)
        return error;
    return source == spawn->other_target ? call(SYS_fcntl, source, F_SETFD, 0, 0)
                                         : call(SYS_dup3, source, spawn->other_target, 0, 0);
}

/* Its id in decimal, to the right in `digits`; returns where it begins. */
static size_t own_id(char digits[static 12])
{
    size_t first = 12;
    for (long pid = call(SYS_getpid, 0, 0, 0, 0); pid > 0; pid /= 10)
        digits[--first] = (char)('0' + pid % 10);
    return first;
}

static void announce(const char *text, int length)
{
    char line[2000], digits[12];
    size_t used = 0, first = own_id(digits);
    for (; length > 0 && used < sizeof line - sizeof digits; text++, length--)
        if (*text)
            line[used++] = *text;
        else
            for (size_t digit = first; digit < sizeof digits; digit++)
                line[used++] = digits[digit];
    call(SYS_write, 2, (long)line, (long)used, 0); /* if it fails there is nobody to tell */
}

static long take_terminal(int terminal)
{
    /* SIGTTOU is blocked here, as all signals are, so a background group may do this. */
    pid_t group = (pid_t)call(SYS_getpgid, 0, 0, 0, 0);
    long error = call(SYS_ioctl, terminal, TIOCSPGRP, (long)&group, 0);
    return error == -ENOTTY || error == -ENXIO ? 0 : error;
}

/* Only the process itself knows its id before anybody else can. */
static void fill_listen_pid(char *const *environment)
{
    char digits[12];
    size_t first = own_id(digits);
    for (; *environment != NULL; environment++)
        if (strncmp(*environment, "LISTEN_PID=", 11) == 0) {
            memcpy(*environment + 11, digits + first, sizeof digits - first);
            (*environment)[11 + sizeof digits - first] = 0;
        }
}

static long set_up_and_exec(struct cl_spawn_request *spawn)
{
    static const long default_action[4]; /* the kernel's struct sigaction: SIG_DFL is 0 */
    uint64_t limits[2] = {spawn->descriptor_limit_soft, spawn->descriptor_limit_hard};
    long error;
    if (spawn->close_from > 0) {
        if ((error = call(SYS_close_range, spawn->close_from, ~0U, CLOSE_RANGE_UNSHARE, 0)) < 0)
            return error;
        __atomic_store_n(&spawn->alive, CL_SPAWN_APART, __ATOMIC_RELEASE);
        call(SYS_futex, (long)&spawn->alive, FUTEX_WAKE, 1, 0);
    }
    if (spawn->control_group >= 0 &&
        (error = call(SYS_write, spawn->control_group, (long)"0", 1, 0)) < 0)
        return error;
    if (spawn->fill_listen_pid)
        fill_listen_pid(spawn->environment);
    if ((spawn->new_session && (error = call(SYS_setsid, 0, 0, 0, 0)) < 0) ||
        (spawn->new_process_group && (error = call(SYS_setpgid, 0, 0, 0, 0)) < 0) ||
        (spawn->terminal >= 0 && (error = take_terminal(spawn->terminal)) < 0) ||
        (spawn->directory >= 0 && (error = call(SYS_fchdir, spawn->directory, 0, 0, 0)) < 0) ||
        (error = place_all_descriptors(spawn)) < 0 ||
        (spawn->restore_descriptor_limit &&
         (error = call(SYS_prlimit64, 0, RLIMIT_NOFILE, (long)limits, 0)) < 0))
        return error;
    for (int signal = 1; signal <= 64; signal++)
        if (spawn->default_signals >> (signal - 1) & 1)
            call(SYS_rt_sigaction, signal, (long)default_action, 0, sizeof(uint64_t));
    call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&spawn->signal_mask, 0, sizeof(uint64_t));
    if (spawn->announcement_length > 0)
        announce(spawn->announcement, spawn->announcement_length);
    if (spawn->paths == NULL)
        call(SYS_exit_group, spawn->exit_code, 0, 0, 0);
    return exec_first(spawn->paths, spawn->arguments, spawn->environment);
}

static int run_child(void *request)
{
    struct cl_spawn_request *spawn = request;
    spawn->failure = (int)-set_up_and_exec(spawn);
    return 111;
}

pid_t cl_spawn(struct cl_spawn_request *spawn)
{
    char stack[8192] __attribute__((aligned(16)));
    uint64_t previous;

    /* No handler may run in the child while it shares our memory. */
    if (cl_sigprocmask(SIG_SETMASK, ~(uint64_t)0, &previous) < 0)
        return -1;
    spawn->pid = clone(run_child, stack + sizeof stack,
                       CLONE_VM | CLONE_VFORK | (spawn->close_from > 0 ? CLONE_FILES : 0) | SIGCHLD,
                       spawn);
    if (spawn->pid < 0)
        spawn->failure = errno;
    cl_sigprocmask(SIG_SETMASK, previous, NULL);
    if (spawn->failure == 0)
        return spawn->pid;
    if (spawn->pid > 0)
        while (waitpid(spawn->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    errno = spawn->failure;
    return -1;
}

/* Waits until the child has descriptors of its own: no file system can delay that. */
static int await_apart(struct cl_spawn_request *spawn)
{
    struct timespec limit = {2, 0};
    while (__atomic_load_n(&spawn->alive, __ATOMIC_ACQUIRE) == CL_SPAWN_TOGETHER)
        if (syscall(SYS_futex, &spawn->alive, FUTEX_WAIT, CL_SPAWN_TOGETHER, &limit) < 0 &&
            errno == ETIMEDOUT)
            return 0;
    return 1;
}

pid_t cl_spawn_beside(struct cl_spawn_request *spawn, void *stack_end)
{
    int shared = spawn->close_from > 0 ? CLONE_FILES : 0;
    int told = spawn->started != NULL ? CLONE_PARENT_SETTID : 0;
    spawn->alive = CL_SPAWN_TOGETHER;
    pid_t pid = clone(run_child, stack_end,
                      CLONE_VM | CLONE_CHILD_CLEARTID | shared | told | WAIT_WHERE_ERRNO_IS_SHARED | SIGCHLD,
                      spawn, spawn->started, NULL, &spawn->alive);
    if (pid < 0) {
        spawn->alive = 0;
    } else if (shared && !await_apart(spawn)) {
        /* Somebody has stopped it. We cannot go on as long as it may use our descriptors. */
        kill(pid, SIGKILL);
        await_apart(spawn);
        errno = EAGAIN;
        return -1;
    }
    return pid;
}
