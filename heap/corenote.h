/* SPDX-License-Identifier: BSD-2-Clause
 *
 * corenote.h - the notes of our own in a core: what the process itself, or
 * `memtrace save`, says of the file.  Writers and readers both include this
 * header, and nothing else knows the notes.
 *
 * The name of each note is MT_NOTE_NAME.  Fields are only ever added, at the
 * end: a reader takes the fields that a note is long enough for.
 */
#ifndef MT_CORENOTE_H
#define MT_CORENOTE_H

#include <stdint.h>

#define MT_NOTE_NAME "memtrace" /* of the notes; NUL included, 9 bytes */
#define MT_NOTE_SAVED 1u        /* type: saved_note */
#define MT_NOTE_THREADS 2u      /* type: thread_note, as many as the note has */
#define MT_NOTE_SELF 3u         /* type: self_note */

/* clang-format off */
#define MT_SAVED_NOTE_FIELDS(F, A)                                            \
    F(0, uint32_t, version, "1")                                              \
    F(4, uint32_t, tables_incomplete, "1: the target's tables were cut")      \
    F(8, uint64_t, missing_bytes, "of the target that were not in memory")    \
    F(16, uint64_t, bad_notes, "of the core that it was made from")

#define MT_THREAD_NOTE_FIELDS(F, A)                                           \
    F(0, uint32_t, tid, "of a thread that has a name")                        \
    A(4, char, name, 16, "ends in NUL")

#define MT_SELF_NOTE_FIELDS(F, A)                                             \
    F(0, uint32_t, version, "1")                                              \
    F(4, uint32_t, mini, "1: the trace alone, 0: all memory")                 \
    F(8, uint32_t, threads_missing, "threads without registers in the core")  \
    F(12, uint32_t, limit_kind, "MT_LIMIT_*: why before the end; 0: at the end") \
    F(16, uint64_t, missing_bytes, "that could not be read")                  \
    F(24, uint64_t, limit, "bytes of what is limited")                        \
    F(32, uint64_t, usage, "bytes of it that were used")                      \
    F(40, uint64_t, resident_bytes, "of the process")                         \
    F(48, uint64_t, realtime_ns, "CLOCK_REALTIME when the file was written")  \
    F(56, uint32_t, box, "MT_BOX_*: a black box; 0: not one")                 \
    F(60, uint32_t, spare, "0")
/* clang-format on */
#define MT_SELF_NOTE_LEAST 24u /* bytes of a self_note that any file has */

/* What was limited, in a self_note. */
enum mt_limit_kind {
    MT_LIMIT_NONE,
    MT_LIMIT_CGROUP,
    MT_LIMIT_ADDRESS_SPACE,
    MT_LIMIT_HEAP,
    MT_LIMIT_RESIDENT, /* no limit: a number of bytes that the user gave */
    MT_LIMIT_GROWN,    /* no limit: what was resident at the last file */
    MT_N_LIMIT_KINDS
};

#define MT_BOX_MARK "mtbox" /* in the padding of a black box's e_ident */
#define MT_BOX_KEPT 1u      /* the kernel keeps the file current */
#define MT_BOX_ENDED 2u     /* it was current until a fork found no memory */

#define MT_NOTES(R)                                                            \
    R(saved_note, MT_SAVED_NOTE_FIELDS, 24)                                    \
    R(thread_note, MT_THREAD_NOTE_FIELDS, 20)                                  \
    R(self_note, MT_SELF_NOTE_FIELDS, 64)

#define MT_NOTE_FIELD(offset, type, name, doc) type name;
#define MT_NOTE_ARRAY(offset, type, name, n, doc) type name[n];
#define MT_NOTE_RECORD(name, FIELDS, size)                                     \
    struct mt_##name {                                                         \
        FIELDS(MT_NOTE_FIELD, MT_NOTE_ARRAY)                                   \
    };                                                                         \
    _Static_assert(sizeof(struct mt_##name) == (size), #name);
MT_NOTES(MT_NOTE_RECORD)
#undef MT_NOTE_FIELD
#undef MT_NOTE_ARRAY
#undef MT_NOTE_RECORD

#endif
