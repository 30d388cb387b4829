/* SPDX-License-Identifier: BSD-2-Clause
 *
 * at_exit.h - a process that leaves a file at its end: MEMTRACE=save=PATTERN, a
 * mini-core, and MEMTRACE=core=PATTERN, a core.
 *
 * The file is written by the process itself, with system calls alone: nothing
 * is allocated, and its memory is read through the kernel, so that it does no
 * harm if other threads unmap memory during that.  It gets its name when it is
 * complete; before, the name ends in ".part".
 */
#ifndef MT_AT_EXIT_H
#define MT_AT_EXIT_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a file is written before the end. */
struct mt_exit_why {
    uint32_t kind; /* enum mt_limit_kind */
    bool silent;   /* nothing on standard error */
    uint64_t limit, usage, resident, realtime_ns;
};

/* exit_file.c: sets the name of a file that the process is to leave; false if
 * the name is too long or empty. */
bool mt_exit_set(bool core, const char *pattern, size_t length);
/* Of the mini-cores before the end, the newest n stay; 0: all.  False: too
 * many. */
bool mt_exit_keep(uint64_t n);
/* There may be many files before the end. */
void mt_exit_keep_default(void);

/* at_exit.c: a file was named; the last one is that of the end. */
void mt_exit_want(bool core);
bool mt_exit_is_wanted(bool core);
/* At start-up, and in the child of a fork. */
void mt_exit_begin(void);
/* Writes the file, once, if one is wanted and this is the process whose trace
 * it is.  `sp` is the caller's stack pointer, `pc` where it continues. */
void mt_exit_write(uint64_t sp, uint64_t pc);
/* A file before the end; one line on standard error says so.  Not for two
 * threads at once. */
bool mt_exit_write_early(bool core, uint64_t sp, uint64_t pc,
                         const struct mt_exit_why *);

/* --- below: shared by the exit_*.c files --- */

struct mt_exit_map {
    uint64_t start, end, offset;
    const char *path; /* ends in a newline; empty if there is none */
    size_t path_length;
    bool readable, writable, executable, shared;
};

struct mt_exit_range {
    uint64_t start, end;
};

#define MT_EXIT_CHUNK 65536u
#define MT_EXIT_MAPS (4u << 20)
#define MT_EXIT_PROGRAMS 65535u
#define MT_EXIT_RANGES 8192u

/* All that the writing needs; mapped for it, and not in the file. */
struct mt_exit {
    bool core;   /* all memory, or only the trace */
    bool box;    /* a black box: the notes alone are written */
    int file;    /* being written */
    int memory;  /* /proc/thread-self/mem, or -1: it may not be opened */
    int problem; /* errno of the first failure, or 0 */
    uint64_t offset;
    uint64_t missing_bytes;
    uint64_t sp, pc;
    struct mt_exit_why why;
    size_t maps_bytes;
    size_t n_programs, n_ranges;
    char maps[MT_EXIT_MAPS]; /* /proc/thread-self/maps */
    struct mt_exit_range ranges[MT_EXIT_RANGES];
    Elf64_Phdr programs[MT_EXIT_PROGRAMS];
    char chunk[MT_EXIT_CHUNK];
};

/* exit_file.c: at start-up, and in the child of a fork; makes the empty file of
 * a core, so that its absence at the end can be noticed. */
void mt_exit_file_begin(bool core);
/* Writes the file; `why`: before the end. */
bool mt_exit_file_write(bool core, uint64_t sp, uint64_t pc,
                        const struct mt_exit_why *why);

/* exit_write.c: writes bytes at `offset`; false after the first failure. */
bool mt_exit_write_at(struct mt_exit *, const void *data, size_t bytes,
                      uint64_t offset);
/* Writes bytes at the end of the file. */
void mt_exit_put(struct mt_exit *, const void *data, size_t bytes);

/* exit_maps.c: the next line of the maps at *at; false at the end. */
bool mt_exit_next_map(const struct mt_exit *, size_t *at,
                      struct mt_exit_map *map);
/* exit_read.c.  The process's own folder in /proc, also after its first thread
 * has ended: /proc/self is empty then. */
#define MT_EXIT_SELF "/proc/thread-self/"
/* open(), in a process whose memory is not to change; -1 with errno. */
int mt_exit_open(const char *path, int flags);
/* Reads a whole file of /proc; returns the bytes, 0 if it cannot. */
size_t mt_exit_read_file(const char *path, char *buffer, size_t bytes);
/* Fills in the program headers and the places of the contents. */
void mt_exit_find(struct mt_exit *);

/* The ranges by which debuggers find the modules, sorted; the maps were read.
 */
void mt_exit_links(struct mt_exit *);

/* exit_notes.c: writes the notes at the end of the file. */
void mt_exit_notes(struct mt_exit *);

/* exit_core.c */
bool mt_exit_core(struct mt_exit *);

#endif
