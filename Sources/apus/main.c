/*
 * The entry point: argc and argv come from the kernel, so they are right without /proc. Nothing is to
 * be done at exit. Where a filter forbids exit_group(2), the C libraries try again for ever; here a
 * trap ends the process.
 */
#include <sys/syscall.h>
#include <unistd.h>

int apus_main(int argc, char **argv);

int main(int argc, char **argv)
{
    syscall(SYS_exit_group, apus_main(argc, argv));
    __builtin_trap();
}
