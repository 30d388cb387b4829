/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memtrace_epoch.h - epochs of programs that need not know of memtrace.
 *
 * A program that includes this links no library and runs as ever.  On the
 * traced heap (memtrace run -- PROGRAM), memtrace_epoch() is memtrace_mark():
 * reports can start or end where it was called,
 *
 *     memtrace show --since LABEL PID
 *     memtrace diff --marks LABEL LABEL PID
 *
 * Any thread may call it, also in a signal handler.
 */
#ifndef MEMTRACE_EPOCH_H
#define MEMTRACE_EPOCH_H

#ifdef __cplusplus
extern "C" {
#endif

/* Opens an epoch with a name.  0; also where the program is not on the traced
 * heap, so that nothing was done.
 *
 * The weak symbol is left to the loader by way of its table: position-dependent
 * C code takes the address when it is linked, where there is none. */
static inline int memtrace_epoch(const char *label)
{
    int (*mark)(const char *);

    __asm__(".weak memtrace_mark\n\tmovq memtrace_mark@GOTPCREL(%%rip), %0"
            : "=r"(mark));
    return mark ? mark(label) : 0;
}

#ifdef __cplusplus
}
#endif

#endif
