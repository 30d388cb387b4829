/* SPDX-License-Identifier: BSD-2-Clause
 *
 * core_stream.h - a core that comes through a pipe, read once: what a mini-core
 * is made of goes to a sparse file, where it has in the core.
 */
#ifndef MT_CORE_STREAM_H
#define MT_CORE_STREAM_H

#include "coreanalyze/base/error.h"

#include <stdint.h>

struct mt_core_stream {
    uint64_t most;  /* bytes to keep */
    uint64_t root;  /* address of the trace's root; 0: there is none */
    uint64_t bytes; /* that came, and that were kept */
    uint64_t kept;
};

/* Reads all of `pipe`.  The file can be opened as a core after that: what was
 * left out of it reads as zeros.  False with `error` filled. */
bool mt_core_stream_read(struct mt_core_stream *stream, int pipe, int file,
                         struct mt_error *error);

#endif
