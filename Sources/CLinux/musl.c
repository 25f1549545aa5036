/*
 * What the Swift runtime and Debian's static libraries expect of libc and musl does not have: the
 * Embedded standard library wants arc4random_buf, and the static libraries were compiled with
 * _FORTIFY_SOURCE against glibc. At the end, a part of one that would only take room.
 */
#define _GNU_SOURCE
#include <features.h>

#ifndef __GLIBC__
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * Swift allocates through this and cannot do without what it asks for. libc's own calls of malloc report
 * that there is no memory as any error. Process 1 does not exit: there the caller traps.
 */
int posix_memalign(void **result, size_t alignment, size_t size)
{
    static const char text[] = ": fatal: out of memory\n";
    *result = alignment > 16 ? aligned_alloc(alignment, size) : malloc(size);
    if (*result)
        return 0;
    if (getpid() == 1)
        return ENOMEM;
    struct iovec line[] = {{program_invocation_short_name, strlen(program_invocation_short_name)},
                           {(char *)text, sizeof text - 1}};
    writev(2, line, 2); /* if it fails there is nobody to tell */
    _exit(111);
}

#ifndef GRND_INSECURE
#define GRND_INSECURE 4
#endif

void arc4random_buf(void *buffer, size_t size)
{
    /* It seeds hashing. Early in the boot of a machine there is no entropy, and nobody may wait for it. */
    unsigned flags = GRND_INSECURE;
    for (char *at = buffer; size > 0;) {
        ssize_t got = getrandom(at, size, flags);
        if (got > 0) {
            at += got;
            size -= (size_t)got;
        } else if (errno == EINVAL && flags == GRND_INSECURE) {
            flags = GRND_NONBLOCK; /* before Linux 5.6 */
        } else if (errno != EINTR) {
            memset(at, (int)(uintptr_t)at, size);
            return;
        }
    }
}

#pragma GCC diagnostic ignored "-Wunused-parameter"
#define FORWARD(call)                                                                              \
    va_list arguments;                                                                             \
    va_start(arguments, format);                                                                   \
    int result = call;                                                                             \
    va_end(arguments);                                                                             \
    return result

int __fprintf_chk(FILE *file, int flag, const char *format, ...)
{
    FORWARD(vfprintf(file, format, arguments));
}

int __sprintf_chk(char *text, int flag, size_t room, const char *format, ...)
{
    FORWARD(vsnprintf(text, room, format, arguments));
}

int __snprintf_chk(char *text, size_t size, int flag, size_t room, const char *format, ...)
{
    FORWARD(vsnprintf(text, size < room ? size : room, format, arguments));
}

int __vsnprintf_chk(char *text, size_t size, int flag, size_t room, const char *format, va_list list)
{
    return vsnprintf(text, size < room ? size : room, format, list);
}

char *__strncpy_chk(char *to, const char *from, size_t size, size_t room)
{
    return strncpy(to, from, size < room ? size : room);
}

int __asprintf_chk(char **text, int flag, const char *format, ...)
{
    FORWARD(vasprintf(text, format, arguments));
}

/* Prints filters for people, for a function of libseccomp that nobody calls. */
int gen_pfc_generate(void) { return -ENOSYS; }
#endif
