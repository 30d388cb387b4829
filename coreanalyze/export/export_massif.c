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
#include "coreanalyze/base/text.h"
#include "coreanalyze/export/export.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MASSIF_THRESHOLD 100u /* a node has at least this part: 1 % */
#define MASSIF_DEPTH 500u     /* levels of the tree */

/* The end of a path on its way outwards: it has come as far as `node`. */
struct massif_path {
    uint32_t end, node;
    uint32_t group; /* of the paths whose next frame is the same */
};

/* Paths that have the same frame next: a caller, below what it called. */
struct massif_group {
    uint32_t frame;
    size_t n, first; /* paths: their number, and the first one */
    uint64_t bytes;
};

struct massif_tree {
    const struct mt_profile *profile;
    enum mt_measure measure;
    struct massif_path *paths, *sorted;
    size_t n_paths;
    uint64_t bytes;     /* of all */
    uint32_t *group_of; /* by frame: index + 1; cleared after use */
    FILE *out;
};

static uint64_t massif_bytes(const struct massif_tree *tree, uint32_t end)
{
    return mt_profile_self(tree->profile, end)->of[tree->measure];
}

static bool massif_begin(struct massif_tree *tree)
{
    const struct mt_profile *p = tree->profile;

    tree->paths = calloc(p->n_ends + 1, sizeof *tree->paths);
    tree->sorted = calloc(p->n_ends + 1, sizeof *tree->sorted);
    tree->group_of = calloc(p->n_frames + 1, sizeof *tree->group_of);
    if (!tree->paths || !tree->sorted || !tree->group_of)
        return false;
    for (uint32_t node = 1; node < p->n_nodes; node++) {
        uint64_t bytes = p->nodes[node].end ? massif_bytes(tree, node) : 0;
        if (bytes)
            tree->paths[tree->n_paths++] =
                (struct massif_path){.end = node, .node = node};
        tree->bytes += bytes;
    }
    return true;
}

static int massif_by_bytes(const void *a, const void *b)
{
    const struct massif_group *x = a, *y = b;

    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return (x->frame > y->frame) - (x->frame < y->frame);
}

/* Groups the paths that have a frame more; NULL when out of memory. */
static struct massif_group *massif_group(struct massif_tree *tree, size_t first,
                                         size_t n, size_t *n_groups)
{
    const struct mt_profile *p = tree->profile;
    struct massif_group *groups = NULL;
    size_t room = 0;
    bool ok = mt_grow(&groups, &room, 1, sizeof *groups);

    *n_groups = 0;
    for (size_t i = first; ok && i < first + n; i++) {
        struct massif_path *path = &tree->paths[i];
        uint32_t frame, *group;
        path->group = 0;
        if (path->node == 0)
            continue;
        frame = p->nodes[path->node].frame;
        group = &tree->group_of[frame];
        ok = mt_grow(&groups, &room, *n_groups + 1, sizeof *groups);
        if (!ok)
            break;
        if (*group == 0) {
            groups[*n_groups].frame = frame;
            *group = (uint32_t)++ * n_groups;
        }
        path->group = *group;
        groups[*group - 1].n++;
        groups[*group - 1].bytes += massif_bytes(tree, path->end);
    }
    for (size_t i = 0; groups && i < *n_groups; i++)
        tree->group_of[groups[i].frame] = 0;
    if (ok)
        return groups;
    free(groups);
    return NULL;
}

/* Sorts paths by their groups, and moves each a frame outwards.  Those that
 * have no frame more are dropped. */
static void massif_move(struct massif_tree *tree, struct massif_group *groups,
                        size_t n_groups, size_t first, size_t n)
{
    size_t at = first;

    for (size_t i = 0; i < n_groups; i++) {
        groups[i].first = at;
        at += groups[i].n;
        groups[i].n = 0;
    }
    for (size_t i = first; i < first + n; i++) {
        struct massif_path path = tree->paths[i];
        struct massif_group *group;
        if (path.group == 0)
            continue;
        group = &groups[path.group - 1];
        path.node = tree->profile->nodes[path.node].parent;
        tree->sorted[group->first + group->n++] = path;
    }
    memcpy(tree->paths + first, tree->sorted + first,
           (at - first) * sizeof *tree->paths);
}

/* At most a hundred groups are big: they come first. */
static size_t massif_sort(const struct massif_tree *tree,
                          struct massif_group *groups, size_t n)
{
    size_t n_big = 0;

    if (n)
        qsort(groups, n, sizeof *groups, massif_by_bytes);
    while (n_big < n && n_big < MASSIF_THRESHOLD &&
           groups[n_big].bytes >= tree->bytes / MASSIF_THRESHOLD + 1)
        n_big++;
    return n_big;
}

static void massif_put_rest(FILE *out, const struct massif_group *groups,
                            size_t n, int depth)
{
    uint64_t rest = 0;

    for (size_t i = 0; i < n; i++)
        rest += groups[i].bytes;
    if (n)
        fprintf(out,
                "%*sn0: %" PRIu64 " in %zu place%s, %sbelow massif's threshold "
                "(%u.00%%)\n",
                depth, "", rest, n, mt_plural(n), n > 1 ? "all " : "",
                100 / MASSIF_THRESHOLD);
}

/* Writes a group, or all paths at depth 0, with what is below it: a level is at
 * most MASSIF_DEPTH. */
static bool massif_put(struct massif_tree *tree,
                       const struct massif_group *node, int depth)
{
    size_t n = 0, n_big;
    struct massif_group *groups = NULL;
    bool ok = true;

    if (depth < (int)MASSIF_DEPTH) {
        groups = massif_group(tree, node->first, node->n, &n);
        if (!groups)
            return false;
        massif_move(tree, groups, n, node->first, node->n);
    }
    n_big = massif_sort(tree, groups, n);
    fprintf(tree->out, "%*sn%zu: %" PRIu64 " ", depth, "", n_big + (n > n_big),
            node->bytes);
    if (depth == 0)
        fputs("(heap allocation functions) malloc/new/new[], --alloc-fns, etc.",
              tree->out);
    else
        mt_export_put_frame(tree->out, tree->profile,
                            &tree->profile->frames[node->frame]);
    putc('\n', tree->out);
    for (size_t i = 0; ok && i < n_big; i++)
        ok = massif_put(tree, &groups[i], depth + 1);
    if (ok)
        massif_put_rest(tree->out, groups + n_big, n - n_big, depth + 1);
    free(groups);
    return ok;
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
    bool ok = massif_begin(&tree);
    struct massif_group all = {.n = tree.n_paths, .bytes = tree.bytes};

    ok = ok && massif_put(&tree, &all, 0);
    free(tree.paths);
    free(tree.sorted);
    free(tree.group_of);
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
