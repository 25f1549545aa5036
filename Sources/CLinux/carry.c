/*
 * What happens at a fault of this process. The handler makes system calls and nothing else: whatever was going on when
 * the fault came, libc and the heap among it, may be in any state.
 */
#include "CLinux.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>

static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS};
enum {
    FAULTS = sizeof faults / sizeof faults[0],
    WINDOW = 60,
    MOST_STUCK = 8 /* the program itself gives up before that, if it comes so far */
};

static struct {
    struct cl_table *table;
    int binary;
    pid_t process;
    char *const *arguments;
    char *const *environment;
    unsigned ending; /* the command of reboot(2) by which a machine ends with this process */
    volatile sig_atomic_t depth;
    int is_early; /* what came over the last exec is not all close-on-exec again */
    /* Frames of a fault, of another one during its handling, and of what others send meanwhile. One may take 11 KiB,
       sigaltstack(2). */
    char stack[49152] __attribute__((aligned(16)));
} carry;

int32_t *cl_table_started(struct cl_table *table) { return &table->started; }
void cl_table_note_name(struct cl_table *table) { prctl(PR_GET_NAME, table->name); }
void cl_table_take_name(struct cl_table *table) { prctl(PR_SET_NAME, table->name); }
uint8_t *cl_table_letters(struct cl_table *table) { return table->letters; }
uint8_t *cl_table_signals(struct cl_table *table) { return table->signals; }

/* All that the record consists of is written before it counts. */
void cl_table_commit(struct cl_table *table, int area, uint64_t commit)
{
    __atomic_store_n(&table->commits[area], commit, __ATOMIC_SEQ_CST);
}

void cl_table_select(struct cl_table *table, uint32_t area)
{
    __atomic_store_n(&table->area, area, __ATOMIC_SEQ_CST);
}

static uint64_t fault_bits(void)
{
    uint64_t bits = 0;
    for (int i = 0; i < FAULTS; i++)
        bits |= (uint64_t)1 << (faults[i] - 1);
    return bits;
}

void cl_unblock_faults(void)
{
    uint64_t bits = fault_bits();
    syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &bits, NULL, sizeof bits);
}

static void tell(const char *text)
{
    struct iovec line[] = {{program_invocation_short_name, strlen(program_invocation_short_name)},
                           {(char *)text, strlen(text)}};
    /* PID 1 never waits for whoever reads this. */
    int flags = (int)syscall(SYS_fcntl, 2, F_GETFL, 0);
    struct pollfd room = {.fd = 2, .events = POLLOUT};
    struct timespec now = {0, 0};
    if (flags >= 0 && syscall(SYS_ppoll, &room, 1, &now, NULL, 8) == 1)
        syscall(SYS_writev, 2, line, 2);
}

/* As if there had been no handler. */
static void die(int signal)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    uint64_t bits = (uint64_t)1 << (signal - 1);
    sigaction(signal, &action, NULL);
    syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &bits, NULL, sizeof bits);
    syscall(SYS_kill, (pid_t)syscall(SYS_getpid), signal);
    syscall(SYS_exit_group, 111);
}

/* The end of a machine's process 1 is that of the machine, which is more orderly than a panic. */
static void leave(void)
{
    if (carry.ending && syscall(SYS_sync) == 0)
        reboot((int)carry.ending);
    syscall(SYS_exit_group, 111);
}

static void reap_for(int milliseconds)
{
    struct timespec step = {0, 50000000};
    for (int waited = 0; waited < milliseconds; waited += 50) {
        long found;
        while ((found = syscall(SYS_wait4, -1, NULL, WNOHANG, NULL)) > 0)
            ;
        if (found < 0 && errno == ECHILD && milliseconds > 1000)
            return;
        syscall(SYS_nanosleep, &step, NULL);
    }
}

/* What is left to process 1 when it cannot go on: signals that stop a container still do. */
static void reap_only(void)
{
    static const int stops[] = {SIGTERM, SIGINT, SIGQUIT, SIGPWR, 37, 38, 39, 40};
    uint64_t bits = 0;
    struct timespec none = {0, 0};
    for (unsigned i = 0; i < sizeof stops / sizeof stops[0]; i++)
        bits |= (uint64_t)1 << (stops[i] - 1);
    tell(": fatal: unable to start again after a fault, only reaping from here on\n");
    while (syscall(SYS_rt_sigtimedwait, &bits, NULL, &none, sizeof bits) <= 0)
        reap_for(500);
    syscall(SYS_kill, -1, SIGTERM);
    syscall(SYS_kill, -1, SIGCONT);
    reap_for(5000);
    syscall(SYS_kill, -1, SIGKILL);
    leave();
}

/* Lets an exec keep what it would close, and notes which those were. */
static void carry_descriptors(void)
{
    uint8_t *carried = (uint8_t *)carry.table + CL_TABLE_CARRIED;
    uint32_t end = carry.table->highest + 64;
    if (end > CL_TABLE_CARRIED_SIZE * 8)
        end = CL_TABLE_CARRIED_SIZE * 8;
    /* A child on its way to its program may share them. */
    syscall(SYS_unshare, CLONE_FILES);
    for (uint32_t number = 0; number < end; number++) {
        uint8_t bit = (uint8_t)(1 << number % 8);
        if (carry.is_early) {
            if (carried[number / 8] & bit)
                syscall(SYS_fcntl, number, F_SETFD, 0);
            continue;
        }
        /* What a fault in the middle of this has interrupted stays noted. */
        if (carry.depth < 2)
            carried[number / 8] &= (uint8_t)~bit;
        if (number > 2 && syscall(SYS_fcntl, number, F_GETFD, 0) == FD_CLOEXEC) {
            carried[number / 8] |= bit;
            syscall(SYS_fcntl, number, F_SETFD, 0);
        }
    }
}

static void execute(int binary)
{
    syscall(SYS_execveat, binary, "", carry.arguments, carry.environment, AT_EMPTY_PATH);
    syscall(SYS_execve, "/proc/self/exe", carry.arguments, carry.environment);
}

int cl_carry_over(int binary)
{
    uint64_t all = ~(uint64_t)0, previous;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &previous, sizeof all);
    carry.table->signal = 0;
    carry_descriptors();
    syscall(SYS_execveat, binary, "", carry.arguments, carry.environment, AT_EMPTY_PATH);
    int failure = errno;
    uint8_t *carried = (uint8_t *)carry.table + CL_TABLE_CARRIED;
    for (uint32_t number = 3; number < CL_TABLE_CARRIED_SIZE * 8; number++)
        if (carried[number / 8] >> number % 8 & 1)
            syscall(SYS_fcntl, number, F_SETFD, FD_CLOEXEC);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &previous, NULL, sizeof previous);
    errno = failure;
    return -1;
}

static uint64_t instruction(const void *context)
{
#if defined __x86_64__
    return (uint64_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#elif defined __aarch64__
    return ((const ucontext_t *)context)->uc_mcontext.pc;
#else
    (void)context;
    return 0;
#endif
}

/*
 * Whether it is somebody else's signal that comes while the last one is not got over. Were it not ignored, a flood of
 * them would leave this process no time for anything else.
 */
static int is_too_much(const siginfo_t *information)
{
    int is_sent = information->si_code <= 0;
    /* Of kill(2) and tgkill(2), rt_sigqueueinfo(2): nobody else can say that he is this process. */
    int is_mine = (information->si_code == SI_USER || information->si_code == SI_TKILL) &&
                  information->si_pid == carry.process;
    return is_sent && !is_mine && (carry.depth > 0 || carry.table->overcome != carry.table->traps);
}

static void note(int signal, const siginfo_t *information, const void *context)
{
    struct cl_table *table = carry.table;
    struct timespec now = {0, 0};
    if (information->si_code > 0)
        table->stuck++;
    table->traps++;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    table->signal = signal;
    table->code = information->si_code;
    table->address = information->si_code > 0 ? (uint64_t)(uintptr_t)information->si_addr : 0;
    table->instruction = instruction(context);
    table->time = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    if ((uint64_t)now.tv_sec >= table->window + WINDOW) {
        table->window = (uint64_t)now.tv_sec;
        table->recent = 0;
    }
    if (information->si_code > 0)
        table->recent++;
}

static void handle(int signal, siginfo_t *information, void *context)
{
    pid_t process = (pid_t)syscall(SYS_getpid);
    /* A copy of this process, or a child that borrows its memory, has nothing to go on with. */
    if (process != carry.process)
        die(signal);
    if (is_too_much(information))
        return;
    int depth = carry.depth++;
    /* Whatever led to it may have spoilt what is needed here: a second fault must not be the end of process 1. */
    cl_unblock_faults();
    if (depth == 0)
        note(signal, information, context);
    /* A fault while it is being noted is no reason not to try. */
    if (depth < 2 && carry.table->stuck <= MOST_STUCK) {
        uint64_t bits = fault_bits();
        carry_descriptors();
        /* They stay blocked until the next image has this handler too. */
        syscall(SYS_rt_sigprocmask, SIG_BLOCK, &bits, NULL, sizeof bits);
        execute(carry.binary);
    }
    if (process != 1)
        die(signal);
    reap_only();
}

/* For programs that have nothing to go on with, and process 1 of a machine while it comes up or goes down. */
static void handle_plainly(int signal, siginfo_t *information, void *context)
{
    (void)context;
    pid_t process = (pid_t)syscall(SYS_getpid);
    int is_sent = information->si_code <= 0;
    /* With the default action, process 1 would never learn of a signal that somebody sends. */
    if (process == carry.process && process == 1 && is_sent)
        return;
    if (process != carry.process || is_sent || (carry.depth++ > 0 && !carry.ending))
        die(signal);
    if (carry.ending)
        cl_unblock_faults();
    switch (signal) {
    case SIGSEGV: case SIGBUS: tell(": fatal: stopped by a fault of its own: bad memory access\n"); break;
    case SIGSYS: tell(": fatal: stopped by a fault of its own: forbidden system call\n"); break;
    default: tell(": fatal: stopped by a fault of its own: internal error\n");
    }
    if (carry.depth == 1 && carry.environment)
        syscall(SYS_execve, "/proc/self/exe", carry.arguments, carry.environment);
    leave();
}

static int install(void)
{
    stack_t stack = {.ss_sp = carry.stack, .ss_size = sizeof carry.stack};
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    action.sa_sigaction = carry.table ? handle : handle_plainly;
    /* Signals that others send could fill the stack. */
    sigfillset(&action.sa_mask);
    carry.process = (pid_t)syscall(SYS_getpid);
    carry.depth = 0;
    if (sigaltstack(&stack, NULL) < 0)
        return -1;
    for (int i = 0; i < FAULTS; i++) {
        struct sigaction before;
        /* What is ignored stays so, for this process and for those that it starts. */
        if (!carry.table && !carry.ending && (sigaction(faults[i], NULL, &before) < 0 || before.sa_handler != SIG_DFL))
            continue;
        if (sigaction(faults[i], &action, NULL) < 0)
            return -1;
    }
    return 0;
}

int cl_carry_on(struct cl_table *table, int binary, char *const *arguments, char *const *environment)
{
    /* The image that goes on has done so before it knew what it is. */
    if (!table && carry.table)
        return 0;
    carry.table = table;
    carry.binary = binary;
    carry.arguments = arguments;
    carry.environment = environment;
    carry.is_early = 0;
    return install();
}

static int descriptor(const char **text, char end)
{
    long number = 0;
    const char *digit = *text;
    while (*digit >= '0' && *digit <= '9' && number < 1 << 20)
        number = number * 10 + *digit++ - '0';
    if (digit == *text || *digit != end)
        return -1;
    *text = digit + 1;
    return (int)number;
}

void cl_carry_on_early(char *const *arguments, const char *variable)
{
    size_t length = strlen(variable);
    struct stat status;
    char *const *entry = cl_environ();
    while (*entry && (strncmp(*entry, variable, length) != 0 || (*entry)[length] != '='))
        entry++;
    if (!*entry)
        return;
    const char *text = *entry + length + 1;
    int file = descriptor(&text, ','), binary = file < 0 ? -1 : descriptor(&text, 0);
    if (binary < 3 || file < 3 || fstat(file, &status) < 0 || status.st_size < CL_TABLE_AREAS ||
        fcntl(file, F_GET_SEALS) != (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW))
        return;
    struct cl_table *table = mmap(NULL, CL_TABLE_AREAS, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (table == MAP_FAILED)
        return;
    if (table->process != getpid()) {
        munmap(table, CL_TABLE_AREAS);
        return;
    }
    carry.table = table;
    carry.binary = binary;
    carry.arguments = arguments;
    carry.environment = cl_environ();
    carry.is_early = 1;
    if (install() == 0)
        cl_unblock_faults();
}

int cl_guard_machine(unsigned ending, char *const *arguments, char *const *environment)
{
    carry.ending = ending;
    return cl_carry_on(NULL, -1, arguments, environment);
}
