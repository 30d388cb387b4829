/* SPDX-License-Identifier: BSD-2-Clause
 *
 * thread_stacks.c - reads glibc's records of threads.
 *
 * The first word of a record and the third hold its own address; that is the
 * ABI of x86-64.  Where the rest lies differs between versions and is found by
 * what it must be:
 *
 *   list   two neighbouring words, the next and the previous node of a ring
 *          that leads back here; the kernel's thread id follows, which is 0 or
 *          less once the thread has ended
 *   stack  three words: the start of a piece of memory that ends shortly after
 *          this record, its size, and the size of the guard in it
 *
 *   result one word before the policy and priority of scheduling, which lie
 *          before the function that the thread began with; the thread that
 *          joins comes before it, or the record itself if it is detached
 *
 * The main thread has 0 for the start, and an address in its stack for the
 * size.  Before glibc 2.34 the record of a program without libpthread has
 * neither; the auxiliary vector leads to that stack.
 *
 * A node of a ring that is not in a record is the head of a list.  There are
 * lists of used stacks, of stacks that the program gave, and of stacks that
 * wait for a thread.  Their heads lie beside each other, or, before glibc 2.34,
 * in the same library's variables.
 */
#include "coreanalyze/reach/thread_stacks.h"
#include "coreanalyze/base/memory.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define TCB_WORDS (MT_TCB_BYTES / 8)
#define LIST_FROM 0x280u /* the list lies in [LIST_FROM, LIST_TO) */
#define LIST_TO 0x340u
#define STACK_MOST (UINT64_C(1) << 40)
#define AFTER_TCB 16384u      /* bytes of a stack after its control block */
#define MAX_VISITS (1u << 17) /* of nodes, whatever the lists look like */
#define MAX_HEADS 16u
#define RESULT_WORDS 20u /* the result lies before the stack, and not far */
#define POLICY_MOST 7u
#define PRIORITY_MOST 99u
#define HEADS_NEAR 32768u /* bytes on both sides of one */
#define PAGE 4096u
#define TCB_ALIGN 32u

struct record {
    uint64_t tcb;
    uint64_t words[TCB_WORDS]; /* 0 where it cannot be read */
};

struct stack_finder {
    struct mt_source *source;
    struct mt_thread_stacks *stacks;
    size_t list, stack, result; /* words of a record; 0: not known yet */
    uint64_t heads[MAX_HEADS];
    size_t n_heads;
    unsigned visits;
    bool out_of_memory;
};

static bool record_read(struct stack_finder *f, uint64_t tcb, struct record *r)
{
    size_t bytes;

    if (tcb == 0 || tcb % 16 != 0)
        return false;
    memset(r, 0, sizeof *r);
    r->tcb = tcb;
    bytes = mt_source_read_part(f->source, tcb, r->words, sizeof r->words);
    return bytes >= LIST_TO && r->words[0] == tcb && r->words[2] == tcb;
}

/* A page that is a file's, and was never written to, has no address of a
 * thread. */
static bool may_be_written(const struct stack_finder *f, uint64_t address)
{
    const struct mt_source *source = f->source;
    const struct mt_present *p;

    if (!source->present_known || source->coverage.swapped_bytes > 0)
        return true;
    p = mt_source_present(source, address);
    return p && p->start <= address;
}

/* Do the neighbours of a node of a ring lead back to it? */
static bool node_linked(struct stack_finder *f, uint64_t node, uint64_t next,
                        uint64_t prev)
{
    uint64_t back, forth;

    return next % 8 == 0 && prev % 8 == 0 && next > 4096 && prev > 4096 &&
           may_be_written(f, next + 8) && may_be_written(f, prev) &&
           mt_source_read(f->source, next + 8, &back, sizeof back) &&
           back == node &&
           mt_source_read(f->source, prev, &forth, sizeof forth) &&
           forth == node;
}

static bool record_list(struct stack_finder *f, const struct record *r)
{
    size_t from = f->list ? f->list : LIST_FROM / 8;
    size_t to = f->list ? f->list + 1 : LIST_TO / 8 - 2;

    for (size_t i = from; i < to; i++)
        /* An empty ring that is a record's is another list than this one. */
        if (r->words[i] != r->tcb + i * 8 &&
            node_linked(f, r->tcb + i * 8, r->words[i], r->words[i + 1])) {
            f->list = i;
            return true;
        }
    return false;
}

static bool stack_words_ok(const struct record *r, size_t i)
{
    uint64_t start = r->words[i], bytes = r->words[i + 1];

    return start != 0 && start < r->tcb && bytes >= 4096 &&
           bytes < STACK_MOST && r->tcb - start < bytes &&
           bytes - (r->tcb - start) <= AFTER_TCB && r->words[i + 2] <= bytes;
}

static bool record_stack(struct stack_finder *f, const struct record *r,
                         size_t *at)
{
    size_t from = f->stack ? f->stack : LIST_TO / 8;
    size_t to = f->stack ? f->stack + 1 : TCB_WORDS - 2;

    for (*at = from; *at < to; ++*at)
        if (stack_words_ok(r, *at)) {
            f->stack = *at;
            return true;
        }
    return false;
}

/* The record of the main thread says where its stack began.  Any other word
 * 0 with an address in that stack after it leads there, too. */
static void record_main(struct stack_finder *f, const struct record *r)
{
    size_t from = f->stack ? f->stack : LIST_TO / 8;
    size_t to = f->stack ? f->stack + 1 : TCB_WORDS - 2;

    for (size_t i = from; i < to; i++) {
        const struct mt_mapping *m;
        if (r->words[i] != 0 || r->words[i + 1] <= 4096)
            continue;
        m = mt_source_mapping(f->source, r->words[i + 1]);
        if (m == NULL || !(m->flags & MT_MAP_WRITE) ||
            (m->path && strcmp(m->path, "[stack]") != 0) ||
            (r->tcb >= m->start && r->tcb < m->end))
            continue;
        f->stacks->main_start = m->start;
        f->stacks->main_end = m->end;
        f->stacks->main_tcb = r->tcb;
        f->stacks->main_ended = (int32_t)r->words[f->list + 2] <= 0;
        return;
    }
}

/* The function that the thread began with lies shortly before the stack. */
static void record_result(struct stack_finder *f, const struct record *r,
                          size_t stack)
{
    for (size_t i = stack - 1; f->result == 0 && i > stack - RESULT_WORDS;
         i--) {
        const struct mt_mapping *m = mt_source_mapping(f->source, r->words[i]);
        uint64_t scheduling = r->words[i - 1];
        if (m && (m->flags & (MT_MAP_EXEC | MT_MAP_ASSUMED)) &&
            scheduling >> 32 <= POLICY_MOST &&
            (uint32_t)scheduling <= PRIORITY_MOST)
            f->result = i - 2;
    }
}

/* A thread that was joined has the number -1. */
static void stacks_add_results(struct stack_finder *f)
{
    for (size_t i = 0; f->result && i < f->stacks->n; i++) {
        struct mt_thread_stack *s = &f->stacks->items[i];
        uint64_t at = s->tcb + f->result * 8, joins;
        if (!mt_source_read(f->source, at - 8, &joins, sizeof joins))
            continue;
        s->rest_known = true;
        if (!s->joined && joins != s->tcb)
            s->result = at;
    }
}

static void record_add(struct stack_finder *f, const struct record *r)
{
    struct mt_thread_stacks *stacks = f->stacks;
    size_t at;

    if (!record_stack(f, r, &at)) {
        record_main(f, r);
        return;
    }
    record_result(f, r, at);
    if (!mt_grow(&stacks->items, &stacks->capacity, stacks->n + 1,
                 sizeof *stacks->items)) {
        f->out_of_memory = true;
        return;
    }
    stacks->items[stacks->n++] = (struct mt_thread_stack){
        .start = r->words[at],
        .end = r->words[at] + r->words[at + 1],
        .tcb = r->tcb,
        .joined = (int32_t)r->words[f->list + 2] == -1,
        .ended = (int32_t)r->words[f->list + 2] <= 0,
    };
}

/* --- the lists --- */

static bool head_add(struct stack_finder *f, uint64_t head)
{
    for (size_t i = 0; i < f->n_heads; i++)
        if (f->heads[i] == head)
            return false;
    if (f->n_heads == MAX_HEADS)
        return false;
    f->heads[f->n_heads++] = head;
    return true;
}

/* All records of the ring that a head begins. */
static void list_walk(struct stack_finder *f, uint64_t head)
{
    uint64_t node = head, next, before;
    struct record r;

    while (f->visits < MAX_VISITS && !f->out_of_memory) {
        f->visits++;
        before = node;
        if (!mt_source_read(f->source, node, &next, sizeof next) ||
            next == head || next % 8 != 0)
            return;
        node = next;
        if (!record_read(f, node - f->list * 8, &r) ||
            r.words[f->list + 1] != before)
            return;
        record_add(f, &r);
    }
}

/* May a word of a head lead to a node of a record? */
static bool link_ok(const struct stack_finder *f, uint64_t link)
{
    return link > PAGE && (link - f->list * 8) % TCB_ALIGN == 0;
}

/* Is there a list whose head is here?  Its first node must be a record's. */
static bool head_ok(struct stack_finder *f, uint64_t at, const uint64_t *links)
{
    struct record r;

    return link_ok(f, links[0]) && link_ok(f, links[1]) && links[0] != at &&
           node_linked(f, at, links[0], links[1]) &&
           record_read(f, links[0] - f->list * 8, &r);
}

/* Walks the lists whose heads are in a page. */
static void heads_in(struct stack_finder *f, uint64_t page)
{
    uint64_t words[PAGE / 8];
    size_t n;

    if (!may_be_written(f, page))
        return;
    n = mt_source_read_part(f->source, page, words, sizeof words) / 8;
    for (size_t i = 0; i + 1 < n; i++) {
        uint64_t at = page + i * 8;
        if (head_ok(f, at, words + i) && head_add(f, at))
            list_walk(f, at);
    }
}

/* The head of the list that a record is in; 0 if it has none. */
static uint64_t head_of(struct stack_finder *f, const struct record *r)
{
    uint64_t first = r->tcb + f->list * 8, node = r->words[f->list];
    struct record other;

    while (f->visits < MAX_VISITS && node != first) {
        f->visits++;
        if (!record_read(f, node - f->list * 8, &other))
            return node;
        node = other.words[f->list];
    }
    return 0;
}

/* Every list is walked once; a thread whose list was walked has a record. */
static void lists_of(struct stack_finder *f, const struct record *r)
{
    uint64_t head;

    for (size_t i = 0; i < f->stacks->n; i++)
        if (f->stacks->items[i].tcb == r->tcb)
            return;
    if (f->stacks->main_tcb == r->tcb || (head = head_of(f, r)) == 0)
        return;
    if (!head_add(f, head))
        return;
    list_walk(f, head);
    head &= ~(uint64_t)(PAGE - 1);
    for (uint64_t page = head - HEADS_NEAR; page != head + HEADS_NEAR + PAGE;
         page += PAGE)
        heads_in(f, page);
}

/* --- the first stack without a record --- */

/* The kernel puts random bytes onto the first stack, and says where. */
static void main_by_auxv(struct stack_finder *f)
{
    struct mt_thread_stacks *stacks = f->stacks;
    const struct mt_mapping *m =
        mt_source_mapping(f->source, mt_source_auxv(f->source, AT_RANDOM));
    struct record r;

    if (!m || !(m->flags & MT_MAP_WRITE))
        return;
    for (size_t i = 0; i < f->source->n_threads; i++) {
        const struct mt_thread *t = &f->source->threads[i];
        uint64_t sp = t->registers[MT_REG_RSP];
        if (!t->has_registers || sp < m->start || sp >= m->end ||
            mt_thread_stacks_of(stacks, t->fs_base) ||
            !record_read(f, t->fs_base, &r))
            continue;
        stacks->main_start = m->start;
        stacks->main_end = m->end;
        stacks->main_tcb = t->fs_base;
        return;
    }
}

static int stack_by_tcb(const void *a, const void *b)
{
    const struct mt_thread_stack *x = a, *y = b;

    return x->tcb < y->tcb ? -1 : x->tcb > y->tcb;
}

static void stacks_sort(struct mt_thread_stacks *stacks)
{
    size_t kept = 0;

    if (stacks->n == 0)
        return;
    qsort(stacks->items, stacks->n, sizeof *stacks->items, stack_by_tcb);
    for (size_t i = 1; i < stacks->n; i++)
        if (stacks->items[i].tcb != stacks->items[kept].tcb)
            stacks->items[++kept] = stacks->items[i];
    stacks->n = kept + 1;
}

bool mt_thread_stacks_find(struct mt_source *source,
                           struct mt_thread_stacks *stacks)
{
    struct stack_finder f = {.source = source, .stacks = stacks};
    struct record r;

    memset(stacks, 0, sizeof *stacks);
    for (size_t i = 0; i < source->n_threads; i++)
        if (record_read(&f, source->threads[i].fs_base, &r) &&
            record_list(&f, &r))
            lists_of(&f, &r);
    stacks_sort(stacks);
    stacks_add_results(&f);
    if (!stacks->main_tcb)
        main_by_auxv(&f);
    return !f.out_of_memory;
}

void mt_thread_stacks_free(struct mt_thread_stacks *stacks)
{
    free(stacks->items);
    memset(stacks, 0, sizeof *stacks);
}

const struct mt_thread_stack *
mt_thread_stacks_of(const struct mt_thread_stacks *stacks, uint64_t tcb)
{
    struct mt_thread_stack key = {.tcb = tcb};

    return stacks->n == 0 ? NULL
                          : bsearch(&key, stacks->items, stacks->n, sizeof key,
                                    stack_by_tcb);
}
