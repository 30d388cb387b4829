/* SPDX-License-Identifier: BSD-2-Clause
 *
 * allocators.h - allocators in the target whose blocks are in no heap of ours.
 */
#ifndef MT_ALLOCATORS_H
#define MT_ALLOCATORS_H

#include "coreanalyze/source/modules.h"
#include "coreanalyze/snapshot/model.h"

struct mt_allocator {
    const struct mt_module *module;  /* NULL: there is none */
    const char *name;                /* "jemalloc"; NULL if it is not known */
    char function[MT_FUNCTION_NAME]; /* one of its own, or "" */
    bool linked;    /* into a module that is not its own library */
    bool is_malloc; /* the program's malloc comes from this module */
    bool alone;     /* and none of its blocks from the traced heap */
    bool hidden;    /* it serves the calls of this module only */
};

/* All of them, by address; they live as long as the model.  When out of memory
 * there are none, and mt_model_lacks_memory() says so. */
const struct mt_allocator *mt_model_allocators(const struct mt_model *,
                                               size_t *n);

/* A malloc of the program's own, to which the traced heap gives nothing. */
enum mt_own_malloc {
    MT_OWN_MALLOC_NONE,
    MT_OWN_MALLOC_HIDDEN, /* not exported: libraries use the traced heap */
    MT_OWN_MALLOC_ALL     /* it serves the libraries, too */
};
enum mt_own_malloc mt_model_own_malloc(const struct mt_model *);

#endif
