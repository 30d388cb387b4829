/* SPDX-License-Identifier: BSD-2-Clause
 *
 * resolve.h - from a program counter of the target to what a reader of a
 * report sees: module, function, file and line, inlined callers too.
 */
#ifndef MT_RESOLVE_H
#define MT_RESOLVE_H

#include "coreanalyze/model.h"

#define MT_MAX_INLINED 64

struct mt_frame {
    uint64_t pc;
    const char *module;     /* path, or NULL if no module holds the pc */
    uint64_t module_offset; /* pc - load bias */
    const uint8_t *build_id;
    unsigned build_id_bytes;
    const char *function; /* or NULL */
    uint64_t offset;      /* in the function */
    const char *file;     /* or NULL */
    unsigned line;        /* 0: not known */
    bool inlined;
};

/* Names from elsewhere, for a pc that has none: a debugger's.  True if it has
 * filled in function or file; its strings must outlive the resolver. */
typedef bool mt_name_hook(void *context, uint64_t pc, struct mt_frame *frame);

struct mt_resolver;
/* NULL when out of memory.  The model must outlive it. */
struct mt_resolver *mt_resolver_new(const struct mt_model *model,
                                    mt_name_hook *hook, void *context);
void mt_resolver_free(struct mt_resolver *); /* takes NULL */

/* The frames of a return address, innermost first, at least one; `ns` since
 * the start of the trace says which module was there.  Valid until the
 * resolver is freed. */
const struct mt_frame *mt_resolve(struct mt_resolver *, uint64_t pc,
                                  uint64_t ns, size_t *n);

#endif
