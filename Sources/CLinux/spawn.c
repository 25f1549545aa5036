/*
 * Starting a program. The child of vfork shares our memory until it execs: it may only make system
 * calls and write to its own locals and to the cl_spawn given.
 */
#include "CLinux.h"

int cl_exec(const char *const *paths, char *const *arguments, char *const *environment)
{
    int remembered = ENOENT;
    for (; *paths; paths++) {
        execve(*paths, arguments, environment);
        if (errno == ENOENT)
            continue;
        remembered = errno;
        if (errno != EACCES && errno != EPERM && errno != EISDIR)
            break;
    }
    errno = remembered;
    return -1;
}

/*
 * Puts a copy of descriptors[i] at i. Sources below the count are moved out of the way first, since
 * a later target may be an earlier one's source. Copies by dup2 lose close-on-exec, as they should.
 */
static int place_descriptors(const int *descriptors, int count)
{
    int source[16];
    if (count > (int)(sizeof source / sizeof source[0])) {
        errno = EINVAL;
        return -1;
    }
    for (int i = 0; i < count; i++) {
        source[i] = descriptors[i];
        if (source[i] >= 0 && source[i] < count && source[i] != i)
            if ((source[i] = fcntl(source[i], F_DUPFD_CLOEXEC, count)) < 0)
                return -1;
    }
    for (int i = 0; i < count; i++) {
        if (source[i] < 0)
            continue;
        if (source[i] == i ? fcntl(i, F_SETFD, 0) < 0 : dup2(source[i], i) < 0)
            return -1;
    }
    return 0;
}

static void announce(const char *text, int length)
{
    char line[2000], digits[12];
    size_t used = 0, first = sizeof digits;
    for (pid_t pid = getpid(); pid > 0; pid /= 10)
        digits[--first] = (char)('0' + pid % 10);
    for (; length > 0 && used < sizeof line - sizeof digits; text++, length--)
        if (*text)
            line[used++] = *text;
        else
            for (size_t digit = first; digit < sizeof digits; digit++)
                line[used++] = digits[digit];
    if (write(2, line, used) < 0)
        return; /* nobody to tell */
}

static void run_child(struct cl_spawn_request *spawn)
{
    if (spawn->new_session) {
        spawn->stage = CL_SPAWN_SESSION;
        if (setsid() < 0)
            return;
    }
    if (spawn->new_process_group) {
        spawn->stage = CL_SPAWN_GROUP;
        if (setpgid(0, 0) < 0)
            return;
    }
    if (spawn->terminal >= 0) {
        /* SIGTTOU is blocked here, as all signals are, so a background group may do this. */
        spawn->stage = CL_SPAWN_TERMINAL;
        if (tcsetpgrp(spawn->terminal, getpgrp()) < 0 && errno != ENOTTY && errno != ENXIO)
            return;
    }
    if (spawn->directory >= 0) {
        spawn->stage = CL_SPAWN_DIRECTORY;
        if (fchdir(spawn->directory) < 0)
            return;
    }
    spawn->stage = CL_SPAWN_DESCRIPTORS;
    if (place_descriptors(spawn->descriptors, spawn->descriptor_count) < 0)
        return;
    if (spawn->restore_descriptor_limit) {
        spawn->stage = CL_SPAWN_LIMIT;
        if (cl_setrlimit(RLIMIT_NOFILE, spawn->descriptor_limit_soft,
                         spawn->descriptor_limit_hard) < 0)
            return;
    }
    for (int signal = 1; signal <= 64; signal++)
        if (spawn->default_signals >> (signal - 1) & 1)
            cl_signal_disposition(signal, 0);
    cl_sigprocmask(SIG_SETMASK, spawn->signal_mask, NULL);
    if (spawn->announcement_length > 0)
        announce(spawn->announcement, spawn->announcement_length);
    if (spawn->paths == NULL)
        _exit(spawn->exit_code);
    spawn->stage = CL_SPAWN_EXEC;
    cl_exec(spawn->paths, spawn->arguments, spawn->environment);
}

pid_t cl_spawn(struct cl_spawn_request *spawn)
{
    volatile int failure = 0;
    uint64_t previous;

    spawn->stage = CL_SPAWN_FORK;
    /* No handler may run in the child while it shares our memory. */
    if (cl_sigprocmask(SIG_SETMASK, ~(uint64_t)0, &previous) < 0)
        return -1;
    pid_t pid = vfork();
    if (pid == 0) {
        run_child(spawn);
        failure = errno;
        _exit(111);
    }
    if (pid < 0)
        failure = errno;
    spawn->pid = pid;
    cl_sigprocmask(SIG_SETMASK, previous, NULL);
    if (failure == 0)
        return pid;
    if (pid > 0)
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    errno = failure;
    return -1;
}

static int run_beside(void *request)
{
    struct cl_spawn_request *spawn = request;
    run_child(spawn);
    spawn->failure = errno;
    return 111;
}

pid_t cl_spawn_beside(struct cl_spawn_request *spawn, void *stack_end, pid_t *alive)
{
    return clone(run_beside, stack_end, CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, spawn, NULL,
                 NULL, alive);
}
