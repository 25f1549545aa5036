/* The same libc as CLinux sees, so that the modules agree on it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <seccomp.h>
#include <stdlib.h>
