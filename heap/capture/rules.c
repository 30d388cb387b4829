/* SPDX-License-Identifier: BSD-2-Clause
 *
 * rules.c - unwind rules by return address, compiled once.
 *
 * One table serves all threads. A word of it is a rule and the upper 40 bits
 * of the address; the lower 7 bits follow from the number of its group. So a
 * word is a whole entry, writing it is atomic, and any number of threads and
 * signal handlers may read and write: the worst that a race does is to lose
 * an entry, which is then compiled again. A table that has no room in a group
 * is replaced by one of twice the size; what threads still write to the old
 * one is lost, too. The thread that makes the larger table may never finish (a
 * signal handler can leave it by longjmp()): from time to time another tries.
 *
 * A child of fork() shares the pages of its parent's table, and each rule that
 * it adds there would copy one. So it has a small table of its own, which is
 * looked at after the other. When it has come to hold many, the child is a
 * process of its own kind: they are added to the large table.
 */
#include "heap/seldom.h"
#include "heap/capture/rules.h"
#include "heap/os.h"
#include "heap/trace_region.h"

#include "heap/capture/load_count.h"
#include "heap/capture/module_table.h"
#include "heap/capture/object.h"
#include "heap/capture/read_log.h"

#include <elf.h>
#include <link.h>
#include <string.h>

#define ENTRY_BYTES 256 /* of code after an entry point */
#define FIRST_GROUPS 128
#define MAX_GROUPS (1u << 15) /* 1 MiB */
#define GROW_AGAIN 256
#define CHILD_GROUPS 256 /* two pages */
#define CHILD_MOST 512   /* rules added to them */

static struct mt_rule_table *current;
static struct mt_rule_table *of_child;
static uint32_t any_no_data; /* rules, ever */
static uint32_t wanted;      /* how often a larger table was wanted */

/* The group is that of the address with 0 for its lower bits, but for those
 * bits exclusive-ored in. */
static uint64_t rule_address(uint64_t word, uint64_t group)
{
    uint64_t low_mask = (1 << MT_RULE_LOW_BITS) - 1;
    uint64_t pc = word >> MT_RULE_BITS << MT_RULE_LOW_BITS;
    return pc | ((mt_rule_group(pc, low_mask) ^ group) & low_mask);
}

/* Makes the table right for `load_count`. Rules of modules that are gone are
 * not believed any more; if others came, neither are those that had no unwind
 * data. In place: a thread that still compiles a rule does so for code that is
 * on its stack, which is loaded; what it adds is right after this, too. */
static MT_COLD void rules_refresh(struct mt_rule_table *table,
                                  uint64_t load_count)
{
    struct mt_gone_modules gone;
    uint64_t n = (table->group_mask + 1) * MT_RULE_GROUP;
    uint32_t unload_count = mt_modules_unload_count(load_count);
    mt_modules_gone_since((uint32_t)mt_load_relaxed(&table->unload_count),
                          unload_count, &gone);
    if (!gone.n && !gone.all && !mt_load_acquire(&any_no_data))
        n = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t word = mt_load_relaxed(&table->words[i]);
        mt_rule rule = (mt_rule)(word & ((1u << MT_RULE_BITS) - 1));
        if (word && (mt_rule_kind(rule) == MT_RULE_NO_DATA ||
                     mt_modules_is_gone(
                         &gone, rule_address(word, i / MT_RULE_GROUP) - 1)))
            mt_store_relaxed(&table->words[i], 0);
    }
    mt_store_relaxed(&table->unload_count, unload_count);
    mt_store_release(&table->load_count, load_count);
}

const struct mt_rule_table *mt_rules_current(void)
{
    struct mt_rule_table *table = mt_load_acquire(&current);
    if (MT_UNLIKELY(!table))
        return NULL;
    uint64_t load_count = mt_modules_load_count();
    if (MT_UNLIKELY(mt_load_acquire(&table->load_count) != load_count))
        rules_refresh(table, load_count);
    return table;
}

static mt_rule rules_pack(enum mt_rule_kind kind, unsigned slot, int64_t offset)
{
    int64_t limit = INT64_C(8) << (MT_RULE_OFFSET_BITS - 1);
    uint32_t mask = (1u << MT_RULE_OFFSET_BITS) - 1;
    if ((offset & 7) || offset >= limit || offset < -limit)
        return MT_RULE_BARE(MT_RULE_FULL);
    return ((mt_rule)(offset / 8) & mask) | MT_RULE_BARE(kind) |
           slot << MT_RULE_OFFSET_BITS;
}

/* DW_OP_bregN offset, then if `deref` DW_OP_deref, and no more: the offset. */
static bool based_expression(const uint8_t *e, unsigned reg, bool deref,
                             int64_t *offset)
{
    unsigned bytes = e[0];
    uint64_t value = 0;
    unsigned at = 2, shift = 0;
    if (bytes < 2 || bytes > 8 || e[1] != 0x70 + reg)
        return false;
    do {
        value |= (uint64_t)(e[at] & 0x7f) << shift;
        shift += 7;
    } while ((e[at++] & 0x80) && at <= bytes);
    if (e[at - 1] & 0x40)
        value |= ~UINT64_C(0) << shift;
    *offset = (int64_t)value;
    return deref ? at == bytes && e[at] == 0x06 : at == bytes + 1;
}

static mt_rule pack_realigned(const struct mt_cfi_row *row)
{
    int64_t offset, saved;
    const uint8_t *rbp = mt_cfi_expression(row, MT_REG_RBP);
    if (!based_expression(row->cfa_expression, MT_REG_RBP, true, &offset) ||
        row->rules.how[MT_REG_RBP] != MT_CFI_EXPRESSION ||
        !based_expression(rbp, MT_REG_RBP, false, &saved) || saved != 0)
        return MT_RULE_BARE(MT_RULE_FULL);
    return rules_pack(MT_RULE_REALIGNED, 0, offset);
}

static mt_rule pack_row(const struct mt_cfi_row *row)
{
    const struct mt_cfi_rules *rules = &row->rules;
    if (rules->how[MT_REG_RIP] == MT_CFI_UNDEFINED)
        return MT_RULE_BARE(MT_RULE_OUTERMOST);
    if (row->signal_frame || rules->how[MT_REG_RIP] != MT_CFI_OFFSET ||
        rules->value[MT_REG_RIP] != -8 || rules->how[MT_REG_RSP] != MT_CFI_SAME)
        return MT_RULE_BARE(MT_RULE_FULL);
    if (row->cfa_expression)
        return pack_realigned(row);
    unsigned slot = 0;
    int64_t saved = rules->value[MT_REG_RBP];
    if (rules->how[MT_REG_RBP] == MT_CFI_OFFSET) {
        if (saved > -16 || saved < -128 || (saved & 7))
            return MT_RULE_BARE(MT_RULE_FULL);
        slot = (unsigned)(-saved / 8 - 1);
    } else if (rules->how[MT_REG_RBP] != MT_CFI_SAME) {
        return MT_RULE_BARE(MT_RULE_FULL);
    }
    if (row->cfa_register == MT_REG_RSP && row->cfa_offset >= 8)
        return rules_pack(MT_RULE_RSP, slot, row->cfa_offset);
    if (row->cfa_register == MT_REG_RBP)
        return rules_pack(MT_RULE_RBP, slot, row->cfa_offset);
    return MT_RULE_BARE(MT_RULE_FULL);
}

static struct mt_rule_table *new_table(uint64_t groups)
{
    struct mt_rule_table *table = mt_section_alloc(
        MT_SECTION_PRIVATE, sizeof *table + groups * MT_RULE_GROUP * 8);
    if (table) {
        table->group_mask = groups - 1;
        table->pid = memtrace_root->pid;
    }
    return table;
}

static void table_forget(struct mt_rule_table *table)
{
    mt_section_forget(table, sizeof *table +
                                 (table->group_mask + 1) * MT_RULE_GROUP * 8);
}

/* False: the group is full. */
static bool rules_insert(struct mt_rule_table *table, uint64_t group,
                         uint64_t word, bool replace)
{
    uint64_t *words = &table->words[group * MT_RULE_GROUP];
    for (unsigned i = 0; i < MT_RULE_GROUP; i++) {
        uint64_t empty = 0;
        if (__atomic_compare_exchange_n(&words[i], &empty, word, false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED) ||
            empty >> MT_RULE_BITS == word >> MT_RULE_BITS)
            return true;
    }
    if (replace)
        mt_store_relaxed(&words[word >> 40 & (MT_RULE_GROUP - 1)], word);
    return replace;
}

static void copy_rules(struct mt_rule_table *to,
                       const struct mt_rule_table *from)
{
    for (uint64_t i = 0; i < (from->group_mask + 1) * MT_RULE_GROUP; i++) {
        uint64_t word = mt_load_relaxed(&from->words[i]);
        if (word == 0)
            continue;
        uint64_t pc = rule_address(word, i / MT_RULE_GROUP);
        rules_insert(to, mt_rule_group(pc, to->group_mask), word, true);
    }
}

/* Replaces `old` by a larger one, unless that is being done already. */
static void rules_grow(struct mt_rule_table *old)
{
    uint64_t groups = old ? 2 * (old->group_mask + 1) : FIRST_GROUPS;
    if (!memtrace_root ||
        __atomic_fetch_add(&wanted, 1, __ATOMIC_ACQUIRE) % GROW_AGAIN != 0)
        return;
    struct mt_rule_table *table = new_table(groups);
    if (!table)
        return;
    /* Read before the rules are: if they are cleared in between, the new table
     * has the old count, and is cleared when it is used. */
    if (old) {
        table->load_count = mt_load_acquire(&old->load_count);
        table->unload_count = mt_load_relaxed(&old->unload_count);
        copy_rules(table, old);
    }
    if (__atomic_compare_exchange_n(&current, &old, table, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        mt_store_relaxed(&wanted, 0);
        if (old) /* who still uses it finds no rules in it */
            mt_section_forget(old->words,
                              (old->group_mask + 1) * MT_RULE_GROUP * 8);
    } else { /* another thread's was first */
        table_forget(table);
    }
}

/* The table of this child; NULL: there is no memory for it. */
static struct mt_rule_table *child_table(const struct mt_rule_table *large)
{
    struct mt_rule_table *own = mt_load_acquire(&of_child), *none = NULL;
    if (own || !(own = new_table(CHILD_GROUPS)))
        return own;
    own->load_count = mt_load_acquire(&large->load_count);
    own->unload_count = mt_load_relaxed(&large->unload_count);
    if (__atomic_compare_exchange_n(&of_child, &none, own, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return own;
    table_forget(own); /* a signal handler's was first */
    return none;
}

/* False: it goes to the large table. */
static bool child_insert(struct mt_rule_table *large, uint64_t pc,
                         uint64_t word)
{
    uint32_t pid = memtrace_root->pid;
    if (MT_LIKELY(mt_load_relaxed(&large->pid) == pid))
        return false;
    struct mt_rule_table *own = child_table(large);
    if (!own)
        return false;
    rules_insert(own, mt_rule_group(pc, own->group_mask), word, true);
    if (__atomic_add_fetch(&own->n_added, 1, __ATOMIC_RELAXED) < CHILD_MOST ||
        !__atomic_compare_exchange_n(&of_child, &own, NULL, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return true;
    copy_rules(large, own);
    mt_store_relaxed(&large->pid, pid);
    table_forget(own);
    return true;
}

/* The rule in the words of its group, from that one on. */
static mt_rule rules_find(const struct mt_rule_table *table, uint64_t pc,
                          unsigned from)
{
    const uint64_t *group =
        &table->words[mt_rule_group(pc, table->group_mask) * MT_RULE_GROUP];
    for (unsigned i = from; i < MT_RULE_GROUP; i++) {
        uint64_t word = mt_load_relaxed(&group[i]);
        if (word >> MT_RULE_BITS == pc >> MT_RULE_LOW_BITS)
            return (mt_rule)(word & ((1u << MT_RULE_BITS) - 1));
    }
    return MT_RULE_NONE;
}

static mt_rule child_find(uint64_t pc)
{
    struct mt_rule_table *own = mt_load_acquire(&of_child);
    if (MT_LIKELY(!own))
        return MT_RULE_NONE;
    uint64_t load_count = mt_modules_load_count();
    if (MT_UNLIKELY(mt_load_acquire(&own->load_count) != load_count))
        rules_refresh(own, load_count);
    return rules_find(own, pc, 0);
}

mt_rule mt_rules_search(uint64_t pc, const struct mt_rule_table *table,
                        struct mt_cfi_work *work)
{
    mt_rule rule = rules_find(table, pc, 1);
    if (rule == MT_RULE_NONE)
        rule = child_find(pc);
    return rule != MT_RULE_NONE ? rule : mt_rules_compile(pc, table, work);
}

/* The dynamic linker's start-up code has no unwind data; it runs the
 * constructors of all objects. */
static bool is_entry(uint64_t pc, const struct mt_object *object)
{
    const ElfW(Ehdr) *e = object->elf;
    return e && pc - (object->bias + e->e_entry) < ENTRY_BYTES;
}

/* A word of a stack may lead to data, where ASan's red zones are. */
MT_READS_STACK bool mt_rules_outermost(uint64_t pc, struct mt_cfi_work *work)
{
    struct mt_object *object = &work->object;
    uint64_t at = pc - 8;
    if (!mt_object_find(pc, object) || at < object->start ||
        !mt_os_readable((const void *)(uintptr_t)at, 8))
        return false;
    if (is_entry(pc, object))
        return true;
    const uint8_t *end = (const uint8_t *)(uintptr_t)pc;
    if (end[-5] == 0xe8)
        return false; /* call by offset */
    for (int i = 2; i <= 7; i++)
        if (end[-i] == 0xff && (end[1 - i] >> 3 & 7) == 2)
            return false; /* call by register or memory */
    return true;
}

mt_rule mt_rules_compile(uint64_t pc, const struct mt_rule_table *used,
                         struct mt_cfi_work *work)
{
    struct mt_rule_table *table = (struct mt_rule_table *)used;
    mt_rule rule = MT_RULE_BARE(MT_RULE_FULL);
    if (pc >> 47)
        return MT_RULE_BARE(MT_RULE_NO_DATA);
    enum mt_cfi_status status = mt_cfi_row_at(pc - 1, work);
    if (status == MT_CFI_OK)
        rule = pack_row(&work->row);
    else if (status == MT_CFI_NONE)
        rule = MT_RULE_BARE(mt_rules_outermost(pc, work) ? MT_RULE_OUTERMOST
                                                         : MT_RULE_NO_DATA);
    if (mt_rule_kind(rule) == MT_RULE_NO_DATA)
        mt_store_release(&any_no_data, 1);
    if (!table) {
        rules_grow(NULL);
        return rule;
    }
    uint64_t group = mt_rule_group(pc, table->group_mask);
    uint64_t word = pc >> MT_RULE_LOW_BITS << MT_RULE_BITS | rule;
    bool largest = table->group_mask + 1 >= MAX_GROUPS;
    if (!child_insert(table, pc, word) &&
        !rules_insert(table, group, word, largest))
        rules_grow(table);
    return rule;
}
