#include "CLinux.h"

extern char **environ;

int cl_errno(void) { return errno; }
void cl_set_errno(int value) { errno = value; }

int cl_openat(int directory, const char *path, int flags, mode_t mode)
{
    return openat(directory, path, flags, mode);
}

int cl_fcntl(int descriptor, int command, int argument)
{
    return fcntl(descriptor, command, argument);
}

int cl_prctl(int operation, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
    return prctl(operation, a, b, c, d);
}

long cl_syscall(long number, long a, long b, long c, long d)
{
    return syscall(number, a, b, c, d);
}

int cl_waitid(pid_t child, long information, int options)
{
    return (int)syscall(SYS_waitid, child ? P_PID : P_ALL, child, information, options, NULL);
}

long cl_syscall_5(long number, long a, long b, long c, long d, long e)
{
    return syscall(number, a, b, c, d, e);
}

static int copy_status(int result, const struct stat *from, struct cl_status *to)
{
    if (result == 0)
        *to = (struct cl_status){
            .device = from->st_dev, .inode = from->st_ino, .size = (uint64_t)from->st_size,
            .links = from->st_nlink,
            .changed = from->st_ctim.tv_sec * 1000000000LL + from->st_ctim.tv_nsec,
            .mode = from->st_mode, .user = from->st_uid,
            .group = from->st_gid};
    return result;
}

int cl_fstatat(int directory, const char *path, struct cl_status *status, int flags)
{
    struct stat st;
    return copy_status(fstatat(directory, path, &st, flags), &st, status);
}

int cl_fstat(int descriptor, struct cl_status *status)
{
    struct stat st;
    return copy_status(fstat(descriptor, &st), &st, status);
}

/* Swift counts resources as the kernel's asm-generic/resource.h does. */
_Static_assert(RLIMIT_CPU == 0 && RLIMIT_RSS == 5 && RLIMIT_NPROC == 6 && RLIMIT_NOFILE == 7 &&
               RLIMIT_MEMLOCK == 8 && RLIMIT_AS == 9, "resource numbers");

int cl_getrlimit(int resource, uint64_t *soft, uint64_t *hard)
{
    struct rlimit limit;
    int result = getrlimit(resource, &limit);
    *soft = limit.rlim_cur;
    *hard = limit.rlim_max;
    return result;
}

int cl_setrlimit(int resource, uint64_t soft, uint64_t hard)
{
    struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};
    return setrlimit(resource, &limit);
}

/* The system calls themselves: libc's functions hide the real-time signals that libc keeps. */
int cl_sigprocmask(int how, uint64_t set, uint64_t *previous)
{
    return (int)syscall(SYS_rt_sigprocmask, how, &set, previous, sizeof set);
}

int cl_signalfd(uint64_t bits, int flags)
{
    return (int)syscall(SYS_signalfd4, -1, &bits, sizeof bits, flags);
}

int cl_signal_disposition(int signal, int ignored)
{
    struct sigaction action = {.sa_handler = ignored ? SIG_IGN : SIG_DFL}, previous;
    if (sigaction(signal, &action, &previous) < 0)
        return -1;
    return previous.sa_handler == SIG_IGN;
}

int cl_getopt(int argc, char *const argv[], const char *options, const struct option *long_options,
              int reset, const char **argument, int *index, int *failed_option)
{
    if (reset)
        optind = 0; /* both libcs: forget the position inside a cluster too */
    opterr = 0;
    int result = getopt_long(argc, argv, options, long_options, NULL);
    *argument = optarg;
    *index = optind;
    *failed_option = optopt;
    return result;
}

char **cl_environ(void)
{
    static char *none[] = {NULL};
    return environ ? environ : none;
}

char *cl_program_name(void) { return program_invocation_name; }

static char *const *start_arguments;
void cl_note_arguments(char *const *arguments) { start_arguments = arguments; }
char *const *cl_arguments(void) { return start_arguments; }

static _Thread_local void *seam;
void *cl_seam(void) { return seam; }
void cl_set_seam(void *value) { seam = value; }
