/* How libseccomp asks its table of system calls (its syscalls.h, which it keeps to itself): an
 * architecture is the offset of its numbers in an entry, after two words. */
enum { STEP = sizeof(int), FIRST = 2 * STEP };

struct call {
    const char *name;
    int number;
};

/* The number of the call of this name, -1 for none. */
int syscall_resolve_name(const char *name, int offset);
/* The first call of this number, NULL for none. */
const char *syscall_resolve_num(int number, int offset);
/* The call at an index; its name is NULL behind the last. The next one overwrites it. */
const struct call *syscall_iterate(unsigned index, int offset);
