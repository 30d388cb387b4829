/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_massif.c - Massif's format: a snapshot of the live bytes, or one of
 * the old and one of the new side, each with the tree from the allocating
 * function outwards.  Before a single one, the samples of the timeline are
 * snapshots without a tree; if more was live at the peak than is now, its
 * snapshot, with a tree, stands among them.
 *
 * Samples know whole blocks: what blocks have beyond what was asked for, extra
 * bytes in this format, is split off by its share of what is live now.
 */
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/table.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/export/export.h"

#include <inttypes.h>
#include <stdlib.h>

#define MASSIF_THRESHOLD 100u /* a node has at least this part: 1 % */
#define MASSIF_DEPTH 500u     /* levels of the tree */

/* Callers lie below the functions that they called. */
struct massif_node {
    uint32_t parent, frame, child, next; /* 0: none */
    uint64_t bytes;
};

struct massif_tree {
    const struct mt_profile *profile;
    enum mt_measure measure;
    struct massif_node *nodes; /* the first one is the root */
    size_t n, capacity;
    struct mt_table table;
    FILE *out;
};

static bool massif_match(const void *items, size_t item, const void *key)
{
    const struct massif_node *one = (const struct massif_node *)items + item;
    const struct massif_node *other = key;

    return one->parent == other->parent && one->frame == other->frame;
}

static bool massif_step(struct massif_tree *tree, uint32_t *at, uint32_t frame)
{
    struct massif_node key = {.parent = *at, .frame = frame};
    uint64_t hash = (uint64_t)*at << 32 | frame;
    size_t i =
        mt_table_find(&tree->table, hash, massif_match, tree->nodes, &key);

    if (i == MT_TABLE_NONE) {
        i = tree->n;
        if (i >= UINT32_MAX ||
            !mt_grow(&tree->nodes, &tree->capacity, i + 1,
                     sizeof *tree->nodes) ||
            !mt_table_add(&tree->table, hash, i))
            return false;
        key.next = tree->nodes[*at].child;
        tree->nodes[*at].child = (uint32_t)i;
        tree->nodes[i] = key;
        tree->n++;
    }
    *at = (uint32_t)i;
    return true;
}

static bool massif_build(struct massif_tree *tree)
{
    const struct mt_profile *p = tree->profile;

    if (!mt_grow(&tree->nodes, &tree->capacity, 1, sizeof *tree->nodes))
        return false;
    tree->n = 1;
    for (uint32_t leaf = 1; leaf < p->n_nodes; leaf++) {
        uint64_t bytes = p->nodes[leaf].self.of[tree->measure];
        uint32_t at = 0, depth = 0;
        tree->nodes[0].bytes += bytes;
        for (uint32_t node = leaf; bytes && node && depth < MASSIF_DEPTH;
             node = p->nodes[node].parent, depth++) {
            if (!massif_step(tree, &at, p->nodes[node].frame))
                return false;
            tree->nodes[at].bytes += bytes;
        }
    }
    return true;
}

static int massif_by_bytes(const void *a, const void *b, void *context)
{
    const struct massif_tree *tree = context;
    const struct massif_node *x = &tree->nodes[*(const uint32_t *)a];
    const struct massif_node *y = &tree->nodes[*(const uint32_t *)b];

    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return (x->frame > y->frame) - (x->frame < y->frame);
}

static bool massif_is_big(const struct massif_tree *tree, uint32_t node)
{
    return tree->nodes[node].bytes >=
           tree->nodes[0].bytes / MASSIF_THRESHOLD + 1;
}

/* At most a hundred children are big, and a level is at most MASSIF_DEPTH. */
static void massif_put(const struct massif_tree *tree, uint32_t at, int depth)
{
    const struct massif_node *node = &tree->nodes[at];
    uint32_t big[MASSIF_THRESHOLD], n = 0, small = 0;
    uint64_t rest = 0;

    for (uint32_t c = node->child; c; c = tree->nodes[c].next) {
        if (n < MASSIF_THRESHOLD && massif_is_big(tree, c)) {
            big[n++] = c;
        } else {
            rest += tree->nodes[c].bytes;
            small++;
        }
    }
    qsort_r(big, n, sizeof *big, massif_by_bytes, (void *)(uintptr_t)tree);
    fprintf(tree->out, "%*sn%" PRIu32 ": %" PRIu64 " ", depth, "",
            n + (small > 0), node->bytes);
    if (at == 0)
        fputs("(heap allocation functions) malloc/new/new[], --alloc-fns, etc.",
              tree->out);
    else
        mt_export_put_frame(tree->out, tree->profile,
                            &tree->profile->frames[node->frame]);
    putc('\n', tree->out);
    for (uint32_t i = 0; i < n; i++)
        massif_put(tree, big[i], depth + 1);
    if (small)
        fprintf(tree->out,
                "%*sn0: %" PRIu64 " in %" PRIu32
                " place%s, %sbelow massif's threshold (%u.00%%)\n",
                depth + 1, "", rest, small, mt_plural(small),
                small > 1 ? "all " : "", 100 / MASSIF_THRESHOLD);
}

static void massif_put_head(FILE *out, unsigned number, uint64_t ns,
                            uint64_t bytes, uint64_t extra, const char *tree)
{
    fprintf(out,
            "#-----------\nsnapshot=%u\n#-----------\ntime=%" PRIu64
            "\nmem_heap_B=%" PRIu64 "\nmem_heap_extra_B=%" PRIu64
            "\nmem_stacks_B=0\nheap_tree=%s\n",
            number, ns / 1000000, bytes, extra, tree);
}

/* Bytes of blocks in use in the heaps of the report. */
static uint64_t massif_used(const struct mt_profile *p)
{
    uint64_t used = 0;

    for (uint32_t i = 0; i < p->model->n_heaps; i++)
        if (mt_show_wants(p->model, p->show, i))
            used += p->show->usage[i].used_bytes;
    return used;
}

static bool massif_put_tree(const struct mt_profile *p, enum mt_measure measure,
                            FILE *out)
{
    struct massif_tree tree = {.profile = p, .measure = measure, .out = out};
    bool ok = massif_build(&tree);

    if (ok)
        massif_put(&tree, 0, 0);
    free(tree.nodes);
    mt_table_free(&tree.table);
    return ok;
}

static bool massif_put_snapshot(const struct mt_export_side *side,
                                unsigned number, bool peak, FILE *out)
{
    const struct mt_profile *p = side->profile;
    uint64_t used = massif_used(p), bytes = p->total.of[MT_LIVE_BYTES];

    massif_put_head(out, number, p->model->now_ns, bytes,
                    used > bytes ? used - bytes : 0,
                    peak ? "peak" : "detailed");
    return massif_put_tree(p, MT_LIVE_BYTES, out);
}

/* What the stacks had then. */
static bool massif_put_peak(const struct mt_profile *p, unsigned number,
                            FILE *out)
{
    const struct mt_peak *peak = &p->model->peak;
    uint64_t bytes = p->total.of[MT_PEAK_BYTES];

    massif_put_head(out, number, peak->ns, bytes,
                    peak->live_bytes > bytes ? peak->live_bytes - bytes : 0,
                    "peak");
    return massif_put_tree(p, MT_PEAK_BYTES, out);
}

/* The curve up to now.  Samples are of all heaps, stacks and ages; counts the
 * snapshots. */
static bool massif_put_past(const struct mt_profile *p, bool has_peak,
                            unsigned *n, FILE *out)
{
    uint64_t used = massif_used(p), asked = p->total.of[MT_LIVE_BYTES];
    double share = used > asked && used ? (double)asked / (double)used : 1;
    bool samples = !mt_profile_is_partial(p->show) && !p->show->filtered.count;
    bool ok = true;

    for (size_t i = 0; samples && ok && i < p->model->n_samples; i++) {
        const struct mt_sample *s = &p->model->samples[i];
        uint64_t bytes = (uint64_t)((double)s->live_bytes * share);
        if (has_peak && s->ns >= p->model->peak.ns) {
            ok = massif_put_peak(p, (*n)++, out);
            has_peak = false;
        }
        massif_put_head(out, (*n)++, s->ns, bytes, s->live_bytes - bytes,
                        "empty");
    }
    return ok && (!has_peak || massif_put_peak(p, (*n)++, out));
}

bool mt_export_massif(const struct mt_export *export, struct mt_error *error)
{
    const struct mt_profile *now = export->now.profile;
    const struct mt_profile *old = export->old.profile;
    bool grew =
        !old || now->total.of[MT_LIVE_BYTES] >= old->total.of[MT_LIVE_BYTES];
    bool has_peak = !old && mt_export_has_peak(now);
    unsigned n = old ? 1 : 0;
    bool ok = true;

    fputs(
        "desc: memtrace: live blocks, by the stacks that allocated them\ncmd: ",
        export->out);
    mt_put_text(export->out, mt_export_command(now->model));
    fputs("\ntime_unit: ms\n", export->out);
    if (old)
        ok = massif_put_snapshot(&export->old, 0, !grew, export->out);
    else
        ok = massif_put_past(now, has_peak, &n, export->out);
    ok = ok &&
         massif_put_snapshot(&export->now, n, grew && !has_peak, export->out);
    return ok || mt_no_memory(error, "the report");
}
