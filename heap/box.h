/* SPDX-License-Identifier: BSD-2-Clause
 *
 * box.h - MEMTRACE=box=FILE: the trace region lies in a file on a tmpfs whose
 * first page is the header of an ELF core.  Whatever ends the process, the file
 * is there, and readers open it as a core.  The theory is at the head of box.c.
 */
#ifndef MT_BOX_H
#define MT_BOX_H

#include "heap/corenote.h"
#include "heap/lock.h"
#include "heap/os.h"

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern bool mt_box_wanted; /* a name was given */
extern bool mt_box_on;     /* box.c; commits and give-backs are the box's */

/* The name, with %p for the process; false if it is too long or relative. */
bool mt_box_set(const char *pattern, size_t length);
/* Makes the file, before the trace region.  False: there is none, and a line on
 * standard error says why. */
bool mt_box_start(void);
/* Maps a part of the trace region: of the file, or if it does not fit, private
 * memory that the box lacks. */
bool mt_box_commit(void *, size_t bytes);
/* What is given back is zeroed, and stays in the file. */
void mt_box_zero(void *, size_t bytes);
/* At a good end, and before another program takes the process: no file. */
void mt_box_end(void);

/* box_notes.c: at the end of the start, the notes of a core. */
void mt_box_publish(void);

/* box_fork.c: `locked`: the process has threads, and all locks are held. */
void mt_box_fork_prepare(bool locked);
void mt_box_fork_parent(bool locked);
void mt_box_fork_child(void);

/* Around captures and allocations of heaps with MT_MODE_BOX. */
void mt_box_enter(void);
void mt_box_leave(void);
void mt_box_gate_reset(void);

/* The calls for memory of the trace region. */
static inline bool mt_trace_commit(void *address, size_t bytes)
{
    return __builtin_expect(mt_box_on, false) ? mt_box_commit(address, bytes)
                                              : mt_os_commit(address, bytes);
}

static inline bool mt_trace_decommit(void *address, size_t bytes)
{
    if (__builtin_expect(!mt_box_on, true))
        return mt_os_decommit(address, bytes);
    mt_box_zero(address, bytes);
    return true;
}

/* --- below: shared by the box*.c files --- */

#define MT_BOX_NAME 1024u
#define MT_BOX_HEAD 65536u /* bytes of the file before the trace */
#define MT_BOX_NOTE (MT_BOX_HEAD - 4096) /* offset of our note */
#define MT_BOX_CHUNKS                                                          \
    ((MT_BOX_NOTE - sizeof(Elf64_Ehdr)) / sizeof(Elf64_Phdr) - 2)

/* Of the trace region that lies in the file. */
struct mt_box_chunk {
    uint64_t address, bytes, offset;
};

struct mt_box {
    char pattern[MT_BOX_NAME]; /* "": none is wanted */
    char name[MT_BOX_NAME];
    uint32_t pid; /* process that the file is of */
    int file;
    uint64_t device, inode;
    bool over;           /* nothing is added any longer */
    struct mt_lock lock; /* of what follows; a leaf */
    char *head;          /* the first MT_BOX_HEAD bytes, mapped */
    uint64_t end;        /* of the file */
    uint32_t n;
    struct mt_box_chunk chunks[MT_BOX_CHUNKS];
    char *copy; /* of all chunks, for the child of a fork */
    uint64_t copy_bytes;
};
extern struct mt_box mt_box;

/* In the child of a fork: the parent's file is no longer ours. */
void mt_box_close(void);
bool mt_box_has_pid(void); /* the names of two processes differ */
/* The file's descriptor, or -1: there is no way to it any longer. */
int mt_box_file(void);
/* Makes the file and its header; false with errno. */
bool mt_box_create(void);
/* Adds a chunk that is in the file at mt_box.end. */
void mt_box_add(uint64_t address, uint64_t bytes);
/* Room for so many bytes at the end of the file; false with ENOSPC. */
bool mt_box_extend(int file, uint64_t bytes);
struct mt_self_note *mt_box_note(void);
void mt_box_miss(uint64_t bytes);
Elf64_Phdr *mt_box_programs(void);

#endif
