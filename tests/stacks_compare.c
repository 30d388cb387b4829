/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stacks_compare.c - are the stacks that a trace has of blocks those that
 * libunwind gave when they were allocated?
 *
 *     stacks_compare TARGET SAMPLES    (SAMPLES: see programs/stackshim.c)
 *
 * Takes the trace's stacks through the whole reader: snapshot, block, tag,
 * stack table.  Prints every different stack once, both sides with names, and
 * last "N samples, N equal, N truncated, N different, N unknown".  Truncated:
 * equal as far as the depth that was set, and flagged.  Unknown: the block is
 * not live, or has no stack.  Exits with 0 if all are equal or truncated.
 */
#include "coreanalyze/names/resolve.h"
#include "coreanalyze/snapshot/snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 1100
#define MAX_SHOWN 40

struct stack {
    uint64_t pcs[MAX_DEPTH];
    size_t n;
    const char *flags;
    bool truncated;
};

struct comparison {
    struct mt_model *model;
    struct mt_resolver *resolver;
    uint64_t shim_start, shim_end;
    uint64_t samples, equal, truncated, different, unknown;
    struct seen {
        uint64_t hash, count;
    } seen[4096];
    size_t n_seen;
};

/* "BLOCK PC..." */
static bool parse(char *line, uint64_t *block, struct stack *stack)
{
    char *end;

    *block = strtoull(line, &end, 16);
    if (end == line)
        return false;
    for (stack->n = 0; stack->n < MAX_DEPTH; stack->n++) {
        line = end;
        stack->pcs[stack->n] = strtoull(line, &end, 16);
        if (end == line)
            break;
    }
    stack->flags = "";
    return true;
}

/* The shim's own frames are the innermost ones of both. */
static void drop_shim(const struct comparison *c, struct stack *stack)
{
    size_t skip = 0;

    while (skip < stack->n && stack->pcs[skip] >= c->shim_start &&
           stack->pcs[skip] < c->shim_end)
        skip++;
    stack->n -= skip;
    memmove(stack->pcs, stack->pcs + skip, stack->n * sizeof *stack->pcs);
}

static bool traced_stack(struct comparison *c, uint64_t address,
                         struct stack *stack)
{
    static const char *const flags[] = {
        "",
        " [truncated]",
        " [frame pointer]",
        " [truncated, frame pointer]",
        " [incomplete]",
        " [truncated, incomplete]",
        " [frame pointer, incomplete]",
        " [truncated, frame pointer, incomplete]"};
    struct mt_block block;
    const struct mt_stack *s;

    if (mt_model_find(c->model, address, &block) != MT_PLACE_LIVE ||
        block.address != address || block.stack < MT_ID_FIRST)
        return false;
    s = &c->model->stacks[block.stack];
    stack->n = mt_model_frames(c->model, block.stack, stack->pcs);
    stack->truncated = s->truncated;
    stack->flags =
        flags[s->truncated + 2 * s->frame_pointer + 4 * s->incomplete];
    drop_shim(c, stack);
    return true;
}

static void put_frame(struct comparison *c, uint64_t pc)
{
    struct mt_pc at = {pc, MT_MODULES_NOW, false};
    struct mt_resolved found = mt_resolve(c->resolver, &at);
    const struct mt_frame *frame = &found.frames[found.n - 1];
    const char *slash = frame->module ? strrchr(frame->module, '/') : NULL;

    printf("0x%" PRIx64 " %s+0x%" PRIx64 " %s", pc,
           slash ? slash + 1 : "no module",
           frame->module ? frame->module_offset : 0,
           frame->function ? frame->function : "?");
}

static void put_stack(struct comparison *c, const char *whose,
                      const struct stack *stack, size_t from)
{
    printf("    %s: %zu frames%s\n", whose, stack->n, stack->flags);
    for (size_t i = from < 3 ? 0 : from - 3; i < stack->n && i < from + 6;
         i++) {
        printf("      %s#%zu ", i == from ? ">" : " ", i);
        put_frame(c, stack->pcs[i]);
        putchar('\n');
    }
}

/* True the first time that this pair is seen. */
static bool is_new(struct comparison *c, const struct stack *a,
                   const struct stack *b)
{
    uint64_t hash = 14695981039346656037u;

    for (size_t i = 0; i < a->n; i++)
        hash = (hash ^ a->pcs[i]) * 1099511628211u;
    for (size_t i = 0; i < b->n; i++)
        hash = (hash ^ ~b->pcs[i]) * 1099511628211u;
    for (size_t i = 0; i < c->n_seen; i++)
        if (c->seen[i].hash == hash) {
            c->seen[i].count++;
            return false;
        }
    if (c->n_seen == sizeof c->seen / sizeof *c->seen)
        return false;
    c->seen[c->n_seen++] = (struct seen){hash, 1};
    return true;
}

static void compare(struct comparison *c, uint64_t block,
                    struct stack *independent)
{
    static struct stack traced;
    size_t same = 0;

    c->samples++;
    drop_shim(c, independent);
    if (!traced_stack(c, block, &traced)) {
        if (c->unknown++ < 10)
            printf("  block 0x%" PRIx64 ": no stack\n", block);
        return;
    }
    while (same < traced.n && same < independent->n &&
           traced.pcs[same] == independent->pcs[same])
        same++;
    if (same == traced.n && same == independent->n && !*traced.flags) {
        c->equal++;
    } else if (same == traced.n && same < independent->n &&
               strcmp(traced.flags, " [truncated]") == 0) {
        c->truncated++;
    } else {
        c->different++;
        if (!is_new(c, &traced, independent) || c->n_seen > MAX_SHOWN)
            return;
        printf("  block 0x%" PRIx64 ": %zu frames agree\n", block, same);
        put_stack(c, "trace", &traced, same);
        put_stack(c, "libunwind", independent, same);
    }
}

static bool compare_all(struct comparison *c, FILE *samples)
{
    static struct stack stack;
    char *line = NULL;
    size_t room = 0;
    uint64_t block;

    if (fscanf(samples, "shim %" SCNx64 " %" SCNx64 "\n", &c->shim_start,
               &c->shim_end) != 2)
        return false;
    while (getline(&line, &room, samples) > 0)
        if (parse(line, &block, &stack))
            compare(c, block, &stack);
    free(line);
    return c->samples > 0;
}

int main(int argc, char **argv)
{
    static struct comparison c;
    struct mt_snapshot_options options = {0};
    struct mt_resolver_options names = {0};
    struct mt_error error = {0};
    struct mt_source *source;
    FILE *samples = argc == 3 ? fopen(argv[2], "re") : NULL;
    bool ok = false;

    if (samples == NULL)
        return fputs("usage: stacks_compare TARGET SAMPLES\n", stderr), 2;
    source = mt_source_open(argv[1], &error);
    c.model = source ? mt_snapshot_take(source, &options, &error) : NULL;
    c.resolver = c.model ? mt_resolver_new(c.model, &names) : NULL;
    if (c.resolver)
        ok = compare_all(&c, samples);
    else
        fprintf(stderr, "stacks_compare: %s\n", error.text);
    printf("%" PRIu64 " samples, %" PRIu64 " equal, %" PRIu64
           " truncated, %" PRIu64 " different, %" PRIu64 " unknown\n",
           c.samples, c.equal, c.truncated, c.different, c.unknown);
    mt_resolver_free(c.resolver);
    mt_model_free(c.model);
    mt_source_free(source);
    fclose(samples);
    return !ok || c.different || c.unknown;
}
