/* SPDX-License-Identifier: BSD-2-Clause
 *
 * rules.h - compiled unwind rules by return address.
 *
 * All of it is async-signal-safe and takes no lock.
 */
#ifndef MT_RULES_H
#define MT_RULES_H

#include "heap/attributes.h"
#include "heap/capture/cfi.h"

#include <stdbool.h>
#include <stdint.h>

/* A rule says how to go from a frame that made a call to its caller, by rsp
 * and rbp alone. It is a number of MT_RULE_BITS:
 *     offset / 8: 17, signed | rbp slot:4 | kind:3
 * rbp slot: 0 the caller's rbp is still in rbp; n: it is at CFA - 8 * (n +
 * 1). */
typedef uint32_t mt_rule;
#define MT_RULE_BITS 24
#define MT_RULE_OFFSET_BITS 17
enum mt_rule_kind {
    MT_RULE_NONE,      /* not a rule */
    MT_RULE_RSP,       /* CFA = rsp + offset, which is at least 8 */
    MT_RULE_RBP,       /* CFA = rbp + offset */
    MT_RULE_REALIGNED, /* CFA = word at rbp + offset, rbp is at rbp */
    MT_RULE_OUTERMOST, /* nobody called this */
    MT_RULE_NO_DATA,   /* no unwind data */
    MT_RULE_FULL       /* more than this: interpret the unwind data */
};
#define MT_RULE_KIND_BITS 3
#define MT_RULE_KIND_SHIFT (MT_RULE_BITS - MT_RULE_KIND_BITS)
#define MT_RULE_BARE(kind) ((mt_rule)(kind) << MT_RULE_KIND_SHIFT)
#define MT_RULE_SLOT_MASK (UINT32_C(15) << MT_RULE_OFFSET_BITS)
static inline enum mt_rule_kind mt_rule_kind(mt_rule rule)
{
    return (enum mt_rule_kind)(rule >> MT_RULE_KIND_SHIFT & 7);
}
static inline unsigned mt_rule_rbp_slot(mt_rule rule)
{
    return rule >> MT_RULE_OFFSET_BITS & 15;
}
static inline int64_t mt_rule_offset(mt_rule rule)
{
    unsigned unused = 32 - MT_RULE_OFFSET_BITS;
    return (int64_t)((int32_t)(rule << unused) >> unused) * 8;
}

/* A table of rules: groups of four words, each a rule with the upper bits of
 * its address; the group holds the rest of the address. A word is written
 * and read whole, so that the table needs no lock. */
struct mt_rule_table {
    uint64_t load_count;   /* mt_modules_load_count() its rules are right for */
    uint64_t unload_count; /* mt_modules_unload_count() at that */
    uint64_t group_mask;   /* groups - 1, at least 127 */
    uint32_t pid;          /* of the process that writes to it */
    uint32_t n_added;      /* to the table of a child */
    uint64_t words[];
};
#define MT_RULE_GROUP 4
#define MT_RULE_LOW_BITS 7 /* of the address, found in the group's number */

/* The table to use during one unwinding; NULL: there is none. */
const struct mt_rule_table *mt_rules_current(void);
/* Compiles the rule for `pc` and remembers it. */
MT_COLD mt_rule mt_rules_compile(uint64_t pc, const struct mt_rule_table *,
                                 struct mt_cfi_work *);

/* Is `pc`, which has no unwind data, in an outermost frame? It is if it's in
 * an object's entry code, or if it follows no call: then it was put on a
 * stack by hand, as makecontext() does. */
MT_COLD bool mt_rules_outermost(uint64_t pc, struct mt_cfi_work *work);

static inline uint64_t mt_rule_group(uint64_t pc, uint64_t mask)
{
    /* The group and the lower bits give the upper bits, and the other way
     * round. */
    return (pc ^ pc >> MT_RULE_LOW_BITS ^ pc >> (2 * MT_RULE_LOW_BITS + 1)) &
           mask;
}

/* The rule for `pc` if it isn't the first of its group. */
MT_NOINLINE mt_rule mt_rules_search(uint64_t pc, const struct mt_rule_table *,
                                    struct mt_cfi_work *);

/* The rule for `pc`, compiled if it isn't in the table. */
static inline mt_rule mt_rule_of(uint64_t pc, const struct mt_rule_table *table,
                                 struct mt_cfi_work *work)
{
    uint64_t group = mt_rule_group(pc, table->group_mask);
    uint64_t word = mt_load_relaxed(&table->words[group * MT_RULE_GROUP]);
    if (MT_UNLIKELY(word >> MT_RULE_BITS != pc >> MT_RULE_LOW_BITS))
        return mt_rules_search(pc, table, work);
    return (mt_rule)(word & ((1u << MT_RULE_BITS) - 1));
}

#endif
