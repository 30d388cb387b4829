/* SPDX-License-Identifier: BSD-2-Clause
 *
 * short_name.h - names of functions as people say them, and which frames of a
 * stack are the program's own.
 */
#ifndef MT_SHORT_NAME_H
#define MT_SHORT_NAME_H

#include "coreanalyze/names/resolve.h"

/* A demangled name without parameters, ABI tags, inline namespaces and default
 * template arguments: `std::vector<int>::push_back`.  To be freed; NULL when
 * out of memory. */
char *mt_short_name(const char *name);
/* Replaces the outermost template arguments of a short name by "<mark>", in
 * place where that is not longer. */
void mt_short_name_fold(char *name, const char *mark);

enum mt_frame_kind {
    MT_FRAME_PROGRAM,
    MT_FRAME_WRAPPER, /* allocates for its caller: malloc, xmalloc, strdup */
    MT_FRAME_LIBRARY, /* of libc, libstdc++, or inlined from std and the like */
    MT_FRAME_START,   /* above main, or above a thread's function */
};
enum mt_frame_kind mt_frame_kind(const struct mt_frame *frame);
/* The first frame that is the program's own, n if none is; a wrapper of malloc
 * is, too, but not an address of no module, where a wrong pointer to a function
 * led. */
size_t mt_frame_own(const struct mt_frame *frames, size_t n);
/* The frame that names a stack: the first one of the program itself; if it has
 * none, the first that is not the start of a thread.  n is at least 1. */
size_t mt_frame_title(const struct mt_frame *frames, size_t n);

#endif
