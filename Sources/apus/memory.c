/*
 * The first blocks of memory come from an arena that is part of the program. Most programs allocate a
 * little and exec: libc's allocator, which maps and unmaps pages for every size, was a sixth of the time
 * of a chain. What the arena gives is not given a second time; once it is used up, libc allocates.
 *
 * The linker gives these functions to the callers of the release (--wrap).
 */
#include <features.h>

#ifndef __GLIBC__
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

int __real_posix_memalign(void **result, size_t alignment, size_t size);
void __real_free(void *memory);

enum { ALIGNMENT = 16 };
static _Alignas(ALIGNMENT) char arena[32768];
static size_t used;

/* Swift allocates through this, and has one thread. */
int __wrap_posix_memalign(void **result, size_t alignment, size_t size)
{
    /* Even a block of size 0 comes from libc then: one behind the end would be freed as libc's. */
    if (alignment > ALIGNMENT || size >= sizeof arena - used)
        return __real_posix_memalign(result, alignment, size);
    *result = arena + used;
    used += (size + ALIGNMENT - 1) & -ALIGNMENT;
    return 0;
}

void __wrap_free(void *memory)
{
    if ((uintptr_t)memory - (uintptr_t)arena >= sizeof arena)
        __real_free(memory);
}
#endif
