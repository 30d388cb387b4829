/* SPDX-License-Identifier: BSD-2-Clause
 *
 * module_table.h - what is loaded where.  All of it is AS-safe and takes no
 * lock.
 */
#ifndef MT_MODULE_TABLE_H
#define MT_MODULE_TABLE_H

#include "heap/attributes.h"
#include "heap/layout.h"

#include <stdbool.h>
#include <stdint.h>

/* Records the modules that the frames lie in, if they aren't yet. */
void mt_modules_note(const uint64_t *frames, unsigned n);
/* The module that the last frame noted lies in. */
extern const struct mt_module_record *mt_modules_recent;
static inline void mt_modules_note_one(uint64_t pc)
{
    const struct mt_module_record *m = mt_load_acquire(&mt_modules_recent);
    if (MT_UNLIKELY(!m || pc - 1 < m->start || pc - 1 >= m->end ||
                    mt_load_relaxed(&m->unloaded_ns)))
        mt_modules_note(&pc, 1);
}
uint32_t mt_modules_count(void);

/* Listed modules that were found gone so far, looked for if `load_count` is not
 * the one of the last time. Facts derived from addresses in listed modules hold
 * while the count is the same. While it is 0 none was ever gone; otherwise
 * frames must be noted before they are compared with known stacks'.
 */
uint32_t mt_modules_unload_count(uint64_t load_count);
/* No module was ever gone, and no frame in none: what was noted once need not
 * be noted again. */
bool mt_modules_settled(uint64_t load_count);
/* The number of records that a stack with these frames, which were noted, is to
 * have, so that each frame lies in the last of them that holds it. */
uint32_t mt_modules_span(const uint64_t *frames, unsigned n);
/* Were there ever two modules at one address? If not, any stack may have all
 * records that there are, and any frames match. */
extern uint32_t mt_modules_contested;
static inline bool mt_modules_any_contested(void)
{
    return mt_load_acquire(&mt_modules_contested);
}
/* Do the frames lie in the same modules as those of a stack with the same
 * addresses and that number of records? */
bool mt_modules_match(const uint64_t *frames, unsigned n, uint32_t modules);

/* The modules that were found gone between two counts of them. */
#define MT_GONE_MODULES 16
struct mt_gone_modules {
    bool all; /* they are not known: it may be any */
    uint32_t n;
    uint64_t start[MT_GONE_MODULES], end[MT_GONE_MODULES];
};
void mt_modules_gone_since(uint32_t from, uint32_t to,
                           struct mt_gone_modules *);
static inline bool mt_modules_is_gone(const struct mt_gone_modules *gone,
                                      uint64_t pc)
{
    bool is_gone = gone->all;
    for (uint32_t i = 0; i < gone->n && !is_gone; i++)
        is_gone = pc >= gone->start[i] && pc < gone->end[i];
    return is_gone;
}

#endif
