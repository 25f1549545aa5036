/*
 * list BYTES: prints libseccomp's table of system calls, which has that size: for each call a line with
 * its name and its number on every architecture, and one with what the look-ups find.
 */
#include <stdio.h>
#include <stdlib.h>
#include "table.h"

int main(int argc, char **argv)
{
    const struct call *call;
    int count = 0;
    while (syscall_iterate(count, FIRST)->name)
        count++;
    int size = argc == 2 ? atoi(argv[1]) / count : 0;
    for (unsigned index = 0; (call = syscall_iterate(index, FIRST))->name; index++) {
        printf("%s", call->name);
        for (int offset = FIRST; offset < size; offset += STEP)
            printf(" %d", syscall_iterate(index, offset)->number);
        printf("\n# %s", call->name);
        for (int offset = FIRST; offset < size; offset += STEP) {
            int number = syscall_iterate(index, offset)->number;
            printf(" %d %s", syscall_resolve_name(call->name, offset),
                   syscall_resolve_num(number, offset));
        }
        printf("\n");
    }
    printf("# %d %d %s\n", syscall_resolve_name("", FIRST), syscall_resolve_name("~", FIRST),
           syscall_resolve_num(-2, FIRST) ? "found" : "none");
    return fflush(stdout) == 0 ? 0 : 1;
}
