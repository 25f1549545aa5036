/*
 * The C that Swift cannot import: errno, variadic calls, function-like macros, and the child side of
 * vfork, where no Swift may run. Everything else is used from libc's own headers, included here so
 * that Swift sees one libc, glibc or musl, under one name.
 */
#ifndef CLINUX_H
#define CLINUX_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

/* errno is a macro over a function call. */
int cl_errno(void);
void cl_set_errno(int value);

/* Variadic system calls, one shape each. All return -1 and set errno on failure. */
int cl_openat(int directory, const char *path, int flags, mode_t mode);
int cl_fcntl(int descriptor, int command, int argument);
int cl_prctl(int operation, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
long cl_syscall(long number, long a, long b, long c, long d);
long cl_syscall_5(long number, long a, long b, long c, long d, long e);

/* waitid(2) for a child, or any if that is 0, into a siginfo_t at this address. */
int cl_waitid(pid_t child, long information, int options);

/* struct stat has different members in the two libcs, and st_atime a macro. */
struct cl_status {
    uint64_t device, inode, size, links;
    int64_t changed; /* st_ctim in nanoseconds */
    uint32_t mode, user, group;
};
int cl_fstatat(int directory, const char *path, struct cl_status *status, int flags);
int cl_fstat(int descriptor, struct cl_status *status);

/* glibc takes an enum and musl an int for `resource`; limits of all ones mean infinity. */
int cl_getrlimit(int resource, uint64_t *soft, uint64_t *hard);
int cl_setrlimit(int resource, uint64_t soft, uint64_t hard);

/* Bits of a signal set are signal - 1, as in the kernel; sigset_t differs between libcs. */
int cl_sigprocmask(int how, uint64_t set, uint64_t *previous);
int cl_signalfd(uint64_t set, int flags);
/* Sets SIG_IGN when ignored, else SIG_DFL. Returns 1 if the signal was ignored before, else 0. */
int cl_signal_disposition(int signal, int ignored);

/* Enumerations in one libc, macros in the other: here they are plain integers in both. */
enum {
    CL_EPOLLIN = EPOLLIN, CL_EPOLLOUT = EPOLLOUT, CL_EPOLLHUP = EPOLLHUP, CL_EPOLLERR = EPOLLERR,
    CL_EPOLLPRI = EPOLLPRI, CL_EPOLL_CLOEXEC = EPOLL_CLOEXEC, CL_IN_CLOEXEC = IN_CLOEXEC, CL_IN_NONBLOCK = IN_NONBLOCK,
    CL_IN_CHANGES = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB |
                    IN_CLOSE_WRITE | IN_MOVE_SELF | IN_DELETE_SELF | IN_ONLYDIR,
    CL_SOCK_STREAM = SOCK_STREAM, CL_SOCK_NONBLOCK = SOCK_NONBLOCK, CL_SOCK_CLOEXEC = SOCK_CLOEXEC,
    CL_SOCK_DGRAM = SOCK_DGRAM,
    CL_MSG_DONTWAIT = MSG_DONTWAIT,
    CL_IPPROTO_TCP = IPPROTO_TCP, CL_IPPROTO_IPV6 = IPPROTO_IPV6,
    CL_SEND_NOW = MSG_DONTWAIT | MSG_NOSIGNAL, CL_PEEK_NOW = MSG_DONTWAIT | MSG_PEEK
};

/* One option as getopt_long(3) returns it; reset starts a new argument vector. Messages are off. */
int cl_getopt(int argc, char *const argv[], const char *options, const struct option *long_options,
              int reset, const char **argument, int *index, int *failed_option);

/* The process's environment, as the kernel or an execing program handed it over. */
char **cl_environ(void);
/* Argument zero in its original place, followed by the other arguments. */
char *cl_program_name(void);

/* The arguments that this process was started with, for whoever executes it again; NULL until they are noted. */
void cl_note_arguments(char *const *arguments);
char *const *cl_arguments(void);

/* A per-thread pointer for the system-call seam of the tests. */
void *cl_seam(void);
void cl_set_seam(void *seam);

/* close_range(2), from a number to the last. */
int cl_close_from(unsigned first);

/* What the child has to do before it execs, in this order. -1 means "leave as it is". */
struct cl_spawn_request {
    const char *const *paths;      /* candidates, tried in order; NULL ends the list */
    char *const *arguments;
    char *const *environment;
    int *descriptors;              /* child's descriptor i becomes a copy of descriptors[i], which are
                                      overwritten */
    int descriptor_count;
    int other_source, other_target; /* after those, other_target becomes a copy of other_source, if not -1 */
    int close_from;                /* more than 0: cl_close_from this, which must be known to work;
                                      the descriptors above and the directory are lower */
    int directory;                 /* fchdir here */
    int new_session;               /* setsid */
    int new_process_group;         /* setpgid(0, 0) */
    int terminal;                  /* become this terminal's foreground group */
    int control_group;             /* enter the group whose open cgroup.procs this is */
    int fill_listen_pid;           /* put its pid in place of the value of LISTEN_PID, of 10 bytes */
    int restore_descriptor_limit;  /* RLIMIT_NOFILE back to the two values below */
    uint64_t descriptor_limit_soft, descriptor_limit_hard;
    uint64_t default_signals;      /* dispositions back to SIG_DFL */
    uint64_t signal_mask;          /* blocked signals of the new program */
    const char *announcement;      /* for descriptor 2 just before exec; a NUL stands for the pid */
    int announcement_length;       /* at most 2000 with the pids in place */
    int exit_code;                 /* end with this instead of exec when there are no paths */
    pid_t *started;                /* cl_spawn_beside: the kernel writes the child's pid here before it runs, if not NULL */
    pid_t pid;                     /* out, cl_spawn: the child, also one that failed; or -1 */
    int alive;                     /* out, cl_spawn_beside: 0 when it is done with all this */
    int failure;                   /* must be 0; out: errno of what failed in the child */
};
enum { CL_SPAWN_TOGETHER = 1, CL_SPAWN_APART = 2 }; /* alive, while its descriptors are ours or not */
/*
 * Starts a child with vfork semantics. Returns its pid, or -1 with errno set, also when the child
 * failed, which has been reaped here then. Its cost does not grow with our descriptors if close_from
 * is low: those beyond are never copied.
 */
pid_t cl_spawn(struct cl_spawn_request *spawn);
/*
 * The same without waiting until the child is done with our memory. The request, all that it points
 * to, and the stack must stay until the kernel has set alive to 0, which it does at the exec or the
 * end; a child that failed exits 111. With close_from it waits until the child's descriptors are no
 * longer ours. Call it with all signals blocked.
 */
pid_t cl_spawn_beside(struct cl_spawn_request *spawn, void *stack_end);
/* execve of the first candidate that works, under the PATH rules of daemontools' pathexec. */
int cl_exec(const char *const *paths, char *const *arguments, char *const *environment);

/*
 * What a process leaves for the image that follows it after a fault: the beginning of a file in memory, which both
 * map. Each field is written by one store, so that a fault finds it as it was or as it is to be.
 */
enum {
    CL_TABLE_DATAGRAM = 4096,      /* room for a datagram, and for what comes with it */
    CL_TABLE_DATAGRAM_SIZE = 4096,
    CL_TABLE_CONTROL_SIZE = 2048,
    CL_TABLE_CARRIED = 16384,      /* a bit for each descriptor that was to be closed by an exec, and is not */
    CL_TABLE_CARRIED_SIZE = 32768,
    CL_TABLE_AREAS = 65536,        /* two halves from here, of which one is in force */
    CL_TABLE_INBOX_SIZE = 64
};
struct cl_table {
    uint64_t magic;
    uint32_t version;
    int32_t process;               /* whose it is */
    uint64_t size;
    uint64_t commits[2];           /* bytes in use of each half; above these 32 bits, the check of its last record */
    uint32_t area;                 /* the half in force */
    uint32_t highest;              /* no descriptor that matters is much higher */
    int32_t started;               /* the child that was started last, by the kernel's own hand */
    uint32_t start_mark;           /* the bytes in use when it was to be */
    uint32_t traps;                /* faults so far */
    uint32_t stuck;                /* those of the processor's own since something was completed */
    uint32_t recent;               /* faults of the processor's own in this window */
    int32_t signal, code;          /* the last fault */
    uint32_t overcome;             /* faults until something was completed for the last time */
    uint64_t address, instruction, time, window;
    uint32_t letters_serial;       /* counts the reads into letters */
    uint32_t signal_serial;        /* counts the reads into signals */
    uint64_t letters_token;        /* where they were read */
    uint8_t letters[CL_TABLE_INBOX_SIZE];
    uint8_t signals[128];          /* a struct signalfd_siginfo */
    int32_t command, not_command;  /* the main command's process, and its complement */
    int32_t score, not_score;      /* the score for when memory runs out that children get, and its complement */
    char name[16];                 /* as ps shows it, which an exec of an open file would change */
};
int32_t *cl_table_started(struct cl_table *table);
/* Notes the name of this process, or takes the one that was noted. prctl(2) */
void cl_table_note_name(struct cl_table *table);
void cl_table_take_name(struct cl_table *table);
uint8_t *cl_table_letters(struct cl_table *table);
uint8_t *cl_table_signals(struct cl_table *table);
void cl_table_commit(struct cl_table *table, int area, uint64_t commit);
void cl_table_select(struct cl_table *table, uint32_t area);

/*
 * From now on a fault of this process (SIGSEGV and its like) executes `binary` again, an open file, with these
 * arguments and variables, and all descriptors that are open. As process 1 it never ends: if the exec fails it reaps,
 * and ends all others when it is told to stop. All that is given must stay. With no table, a fault is told in one
 * line, and ends the process with 111. Returns -1 with errno set when that cannot be arranged.
 */
int cl_carry_on(struct cl_table *table, int binary, char *const *arguments, char *const *environment);
/* For process 1 of a machine: a fault executes the binary again with this environment. Without one, or at the second,
 * it ends the machine by this command of reboot(2), as any end of the process does from then on. */
int cl_guard_machine(unsigned ending, char *const *arguments, char *const *environment);
/*
 * As `cl_carry_on` for an image that goes on, as long as it has not got what the variable tells of, and before all else;
 * does nothing in any other. What is blocked of faults until then is unblocked.
 */
void cl_carry_on_early(char *const *arguments, const char *variable);
/* Executes the binary of `cl_carry_on` by somebody's wish. Returns -1 when that fails. */
int cl_carry_over(int binary);
/* Unblocks the signals that tell of faults. */
void cl_unblock_faults(void);

#endif
