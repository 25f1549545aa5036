/*
 * libseccomp's table of system calls at a quarter of its size. An entry keeps the numbers that differ,
 * and a shape, which tells for each architecture which of them is its own. The linker gives these
 * functions to who calls libseccomp's (--wrap).
 */
#include <string.h>
#include "table.h"
#include "entries.h"

enum { COUNT = sizeof(entries) / sizeof(entries[0]) };

static int number_of(const struct entry *entry, int offset)
{
    int number = numbers[entry->numbers + shapes[entry->shape][(offset - FIRST) / STEP]];
    return number < 0x7000 ? number : number - 0x7000 + ARM_PRIVATE;
}

int __wrap_syscall_resolve_name(const char *name, int offset)
{
    unsigned low = 0, high = COUNT;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        int order = strcmp(name, names + entries[middle].name);
        if (order == 0)
            return number_of(&entries[middle], offset);
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

const char *__wrap_syscall_resolve_num(int number, int offset)
{
    for (unsigned index = 0; index < COUNT; index++)
        if (number_of(&entries[index], offset) == number)
            return names + entries[index].name;
    return 0;
}

const struct call *__wrap_syscall_iterate(unsigned index, int offset)
{
    static struct call call;
    if (index >= COUNT)
        call = (struct call){0, -1};
    else
        call = (struct call){names + entries[index].name, number_of(&entries[index], offset)};
    return &call;
}
