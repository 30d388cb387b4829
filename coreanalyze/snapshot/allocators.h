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
};

/* All of them, by address; they live as long as the model.  When out of memory
 * there are none, and mt_model_lacks_memory() says so. */
const struct mt_allocator *mt_model_allocators(const struct mt_model *,
                                               size_t *n);

/* Does the program have a malloc of its own, to which the traced heap gives
 * nothing? */
bool mt_model_serves_nothing(const struct mt_model *);

#endif
