/* SPDX-License-Identifier: BSD-2-Clause
 *
 * filter.c - lets through the stacks that --focus and --ignore ask for.  Each
 * frame is matched once: its answer is kept.
 */
#include "coreanalyze/profile/filter.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/table.h"

#include <regex.h>
#include <stdlib.h>

#define FILTER_FOCUS 1u
#define FILTER_IGNORE 2u

struct filter_answer {
    const struct mt_frame *frames; /* of the resolver: one pc */
    unsigned bits;
};

struct mt_filter {
    regex_t focus, ignore;
    bool has_focus, has_ignore;
    struct filter_answer *answers;
    size_t n, capacity;
    struct mt_table by_frames;
};

static bool filter_compile(regex_t *regex, const char *text, const char *option,
                           struct mt_error *error)
{
    int status = regcomp(regex, text, REG_EXTENDED | REG_NOSUB);
    char why[128];

    if (status == 0)
        return true;
    regerror(status, regex, why, sizeof why);
    return mt_fail(error, "invalid regular expression '%s' of %s: %s", text,
                   option, why);
}

bool mt_filter_new(const char *focus, const char *ignore,
                   struct mt_filter **filter, struct mt_error *error)
{
    *filter = NULL;
    if (!focus && !ignore)
        return true;
    *filter = calloc(1, sizeof **filter);
    if (!*filter)
        return mt_no_memory(error, "the filter");
    if (focus)
        (*filter)->has_focus =
            filter_compile(&(*filter)->focus, focus, "--focus", error);
    if (ignore && (!focus || (*filter)->has_focus))
        (*filter)->has_ignore =
            filter_compile(&(*filter)->ignore, ignore, "--ignore", error);
    if ((!focus || (*filter)->has_focus) && (!ignore || (*filter)->has_ignore))
        return true;
    mt_filter_free(*filter);
    *filter = NULL;
    return false;
}

void mt_filter_free(struct mt_filter *filter)
{
    if (!filter)
        return;
    if (filter->has_focus)
        regfree(&filter->focus);
    if (filter->has_ignore)
        regfree(&filter->ignore);
    mt_filter_forget(filter);
    free(filter);
}

void mt_filter_forget(struct mt_filter *filter)
{
    if (!filter)
        return;
    free(filter->answers);
    mt_table_free(&filter->by_frames);
    filter->answers = NULL;
    filter->n = filter->capacity = 0;
    filter->by_frames = (struct mt_table){0};
}

static bool filter_matches(const regex_t *regex, const struct mt_frame *frame)
{
    const char *const texts[] = {frame->function, frame->module, frame->file};

    for (unsigned i = 0; i < 3; i++)
        if (texts[i] && regexec(regex, texts[i], 0, NULL, 0) == 0)
            return true;
    return false;
}

static bool filter_match(const void *items, size_t item, const void *key)
{
    return ((const struct filter_answer *)items)[item].frames == key;
}

static unsigned filter_bits(struct mt_filter *filter,
                            const struct mt_resolved *found)
{
    uint64_t hash = (uintptr_t)found->frames;
    size_t i = mt_table_find(&filter->by_frames, hash, filter_match,
                             filter->answers, found->frames);
    unsigned bits = 0;

    if (i != MT_TABLE_NONE)
        return filter->answers[i].bits;
    for (size_t j = 0; j < found->n; j++) {
        if (filter->has_focus &&
            filter_matches(&filter->focus, &found->frames[j]))
            bits |= FILTER_FOCUS;
        if (filter->has_ignore &&
            filter_matches(&filter->ignore, &found->frames[j]))
            bits |= FILTER_IGNORE;
    }
    if (!mt_grow(&filter->answers, &filter->capacity, filter->n + 1,
                 sizeof *filter->answers) ||
        !mt_table_add(&filter->by_frames, hash, filter->n))
        return bits; /* it is matched again the next time */
    filter->answers[filter->n++] = (struct filter_answer){found->frames, bits};
    return bits;
}

bool mt_filter_keeps(struct mt_filter *filter, struct mt_model *model,
                     struct mt_resolver *resolver, uint32_t stack,
                     uint32_t depth)
{
    uint64_t pcs[MT_MAX_FRAMES];
    size_t n = mt_model_frames(model, stack, pcs);
    struct mt_resolved found = {NULL, 0, false};
    unsigned bits = filter->has_focus ? 0 : FILTER_FOCUS;

    for (size_t i = 0; i < n && i < depth; i++) {
        struct mt_pc at = {pcs[i], model->stacks[stack].modules,
                           found.signal_frame};
        found = mt_resolve(resolver, &at);
        bits |= filter_bits(filter, &found);
    }
    return bits == FILTER_FOCUS;
}

void mt_filter_show(struct mt_filter *filter, struct mt_model *model,
                    struct mt_resolver *resolver, struct mt_show *show,
                    uint64_t min_bytes, uint64_t top)
{
    size_t n = show->n_rows, kept = 0;

    show->n_all_rows = 0;
    show->shown = (struct mt_show_sum){0, 0};
    for (size_t i = 0; i < n; i++) {
        const struct mt_show_row row = show->rows[i];
        if (filter &&
            !mt_filter_keeps(filter, model, resolver, row.stack, row.depth)) {
            show->filtered.bytes += row.bytes;
            show->filtered.count += row.count;
            continue;
        }
        show->n_all_rows++;
        show->shown.bytes += row.bytes;
        show->shown.count += row.count;
        if (row.bytes + row.indirect_bytes >= min_bytes &&
            (top == 0 || kept < top))
            show->rows[kept++] = row;
    }
    show->n_rows = kept;
}
