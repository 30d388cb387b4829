/* SPDX-License-Identifier: BSD-2-Clause
 *
 * namer.h - names memory outside of blocks: `global cache_table in libfoo.so +
 * 0x10`, `thread 3 stack in parse_request`.
 */
#ifndef MT_NAMER_H
#define MT_NAMER_H

#include "coreanalyze/names/resolve.h"
#include "coreanalyze/names/stack_frames.h"
#include "coreanalyze/reach/roots.h"
#include "coreanalyze/names/variables.h"

struct mt_namer {
    struct mt_model *model;
    struct mt_resolver *resolver;
    const struct mt_roots *roots;
    struct mt_variables *variables;
    struct mt_stack_frames *frames; /* zeros at first */
};

/* Each returns text to be freed, NULL when out of memory. */
char *mt_name_address(const struct mt_namer *, uint64_t address);
/* "thread 3 (4242 worker)" */
char *mt_name_thread(const struct mt_namer *, uint32_t index);
/* "data of descriptor 7 in epoll 3" */
char *mt_name_kernel_word(const struct mt_namer *, uint32_t index);
/* A root outside of memory, such as a register. */
char *mt_name_word(const struct mt_namer *, const struct mt_root_range *);

/* For the owners of blocks (analyses/retained.h); `context` is a namer: the
 * start of the variable that holds an address of a module; whether a module is
 * a library of the system. */
uint64_t mt_namer_variable(void *context, uint32_t module, uint64_t address);
bool mt_namer_library(void *context, uint32_t module);

#endif
