/* SPDX-License-Identifier: BSD-2-Clause
 *
 * minicore.h - the notes that a mini-core has and a core has not.
 */
#ifndef MT_MINICORE_H
#define MT_MINICORE_H

#include <stdint.h>

#define MT_MINICORE_NOTE "memtrace" /* its name */
#define MT_MINICORE_TYPE 1u
#define MT_MINICORE_VERSION 1u

/* Counts of what the saved target lacked; fields are only ever added. */
struct mt_minicore_note {
    uint32_t version;
    uint32_t tables_incomplete; /* 0 or 1 */
    uint64_t missing_bytes, bad_notes;
};

/* The names of threads, one after the other. */
#define MT_MINICORE_THREADS 2u
struct mt_minicore_thread {
    uint32_t tid;
    char name[16]; /* ends in NUL */
};

/* The note of a file that the process itself wrote at its exit, or before
 * (heap/exit/at_exit.h). */
#define MT_NOTE_SELF 3u
struct mt_self_note {
    uint32_t version;         /* 1 */
    uint32_t mini;            /* 1: the trace alone, 0: all memory */
    uint32_t threads_missing; /* threads without registers in the core */
    uint32_t limit_kind;      /* 0: the process ended */
    uint64_t missing_bytes;   /* that could not be read */
    /* Unless the process ended; a file may lack them. */
    uint64_t limit, usage;   /* bytes of what is limited */
    uint64_t resident_bytes; /* of the process */
    uint64_t realtime_ns;    /* of the file */
};
#define MT_NOTE_SELF_LEAST 24u

#endif
