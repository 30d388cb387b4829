/* SPDX-License-Identifier: BSD-2-Clause
 *
 * report.c - what the printers share.
 */
#include "coreanalyze/reports/print.h"
#include "coreanalyze/reports/style.h"
#include "coreanalyze/base/text.h"

#include <inttypes.h>
#include <string.h>

/* Sources count in pages of the system; the heap's may be huge ones. */
static void scale_pages(struct mt_page_stats *stats, uint64_t page_bytes)
{
    uint64_t unit = stats->page_bytes ? stats->page_bytes : 4096;

    stats->page_bytes = page_bytes;
    stats->populated = stats->populated * unit / page_bytes;
    stats->swapped = stats->swapped * unit / page_bytes;
    for (unsigned i = 0; i < stats->n_nodes; i++)
        stats->node[i] = stats->node[i] * unit / page_bytes;
}

void mt_report_pages(const struct mt_report *report, uint32_t heap,
                     struct mt_page_stats *stats)
{
    const struct mt_model *model = report->model;
    struct mt_source *source = model->source;
    uint64_t page_bytes = model->heaps[heap].page_bytes;

    memset(stats, 0, sizeof *stats);
    /* Memory that is not committed has no pages. */
    for (size_t i = 0; source->ops->pages && i < model->n_regions; i++) {
        const struct mt_region *r = &model->regions[i];
        if (r->heap == heap)
            source->ops->pages(source, r->base, r->base + r->committed, stats);
    }
    if (page_bytes < 4096 || (page_bytes & (page_bytes - 1)) != 0)
        page_bytes = 4096;
    scale_pages(stats, page_bytes);
}

typedef struct mt_resolved report_resolve(struct mt_resolver *,
                                          const struct mt_pc *);
typedef void report_visit(void *context, const struct mt_resolved *);

static void report_walk(const struct mt_report *report,
                        const struct mt_show_row *row, report_resolve *resolve,
                        report_visit *visit, void *context)
{
    struct mt_model *model = report->model;
    uint64_t pcs[MT_MAX_FRAMES];
    size_t n = mt_model_frames(model, row->stack, pcs);
    struct mt_resolved found = {NULL, 0, false};

    if (mt_model_lacks_memory(model))
        mt_resolver_lacks(report->resolver);
    for (size_t i = 0; i < n && i < row->depth; i++) {
        struct mt_pc at = {pcs[i], model->stacks[row->stack].modules,
                           found.signal_frame};
        found = resolve(report->resolver, &at);
        visit(context, &found);
    }
}

void mt_report_resolved(const struct mt_report *report,
                        const struct mt_show_row *row, report_visit *visit,
                        void *context)
{
    report_walk(report, row, mt_resolve, visit, context);
}

struct report_each {
    void (*visit)(void *context, const struct mt_frame *);
    void *context;
};

static void report_visit_each(void *context, const struct mt_resolved *found)
{
    const struct report_each *each = context;

    for (size_t i = 0; i < found->n; i++)
        each->visit(each->context, &found->frames[i]);
}

void mt_report_frames(const struct mt_report *report,
                      const struct mt_show_row *row,
                      void (*visit)(void *context, const struct mt_frame *),
                      void *context)
{
    struct report_each each = {visit, context};

    report_walk(report, row, mt_resolve, report_visit_each, &each);
}

void mt_report_brief_frames(
    const struct mt_report *report, const struct mt_show_row *row,
    void (*visit)(void *context, const struct mt_frame *), void *context)
{
    struct report_each each = {visit, context};

    report_walk(report, row, mt_resolve_brief, report_visit_each, &each);
}

#define MAX_NOTES 40u

struct note {
    uint64_t value;
    const char *text; /* of mt_put_count */
};

static void note_counts(const struct mt_coverage *c,
                        const struct mt_source_coverage *s,
                        struct note notes[MAX_NOTES])
{
    const struct note all[] = {
        {s->missing_bytes, "%b {is|are} missing from the core: it is cut off"},
        {s->damaged, "%s part{|s} of the compressed core {is|are} damaged: "
                     "what comes from there is missing, or wrong"},
        {s->box_bytes,
         "%b of the trace did not fit into the black box: blocks and "
         "stacks there are not counted"},
        {s->box_ended,
         "%s fork of the process found no memory: the black box is of that "
         "moment"},
        {s->threads_running,
         "%s thread{|s} did not stop in time (see --stop-timeout): {it|they} "
         "ran on, or {sleeps|sleep} in the kernel"},
        {s->sharers_running,
         "%s process{|es} with the same memory {was|were} not stopped: blocks "
         "that only {its|their} registers hold look lost"},
        {s->untouched_bytes,
         "%b of files and of shared memory {was|were} not searched: "
         "the process has no pages of them"},
        {s->swapped_bytes,
         "%b in swap {was|were} not searched (see --read-swapped)"},
        {s->unread_bytes, "%b of memory could not be read"},
        {s->bad_notes, "%s note{|s} of the core {makes|make} no sense"},
        {c->unreadable_bytes, "%b of the trace could not be read"},
        {c->skipped_sections, "%s section{|s} of the trace {is|are} damaged"},
        {c->skipped_heaps, "%s heap record{ is|s are} damaged"},
        {c->skipped_regions, "%s region record{ is|s are} damaged"},
        {c->skipped_spans,
         "%s span record{ is|s are} damaged; blocks there are not counted"},
        {c->skipped_stacks, "%s stack record{ is|s are} damaged"},
        {c->skipped_modules, "%s module record{ is|s are} damaged"},
        {c->skipped_threads, "%s thread record{ is|s are} damaged"},
        {c->skipped_counters, "%s counter{|s} of allocations {is|are} damaged"},
        {c->skipped_epochs, "%s epoch{ goes|s go} back in time"},
        {c->skipped_peaks, "%s record{|s} of the peak {makes|make} no sense: "
                           "skipped"},
        {c->skipped_samples, "%s sample{|s} of the timeline {makes|make} no "
                             "sense: skipped"},
        {c->skipped_maps, "%s record{|s} of mapped memory {makes|make} no "
                          "sense"},
        {c->bad_tags, "%s block{ has a tag that makes|s have tags that make} "
                      "no sense"},
        {c->truncated_stacks,
         "%s stack{ is|s are} truncated at the depth that was set"},
        {c->incomplete_stacks,
         "%s stack{ ends|s end} early: no unwinding rule was found"},
        {c->frame_pointer_stacks,
         "%s stack{ has|s have} frames found by frame pointer, a guess"},
        {c->coarse_stacks,
         "%s stack{ lacks its|s lack their} inner frames: the stack table was "
         "at its bound (MEMTRACE=stacks=BYTES)"},
        {c->overflow_allocs, "%s allocation{|s} found the stack table full"},
        {c->untagged_spans,
         "%s span{|s} got no room for tags: blocks there are untraced"},
        {c->epoch_overflow,
         "%s time{|s} the table of epochs was full: ages are too high"},
        {c->module_overflow, "%s module{|s} found the module table full"},
        {c->section_overflow, "%s time{|s} a section of the trace was full"},
        {c->maps_missed,
         "%s call{|s} that map{s|} or unmap{s|} memory {was|were} "
         "not recorded"},
    };

    _Static_assert(sizeof all / sizeof *all <= MAX_NOTES, "room for all notes");
    memset(notes, 0, MAX_NOTES * sizeof *notes);
    memcpy(notes, all, sizeof all);
}

void mt_report_put_count(const struct mt_report *report, const char *text,
                         uint64_t n)
{
    const struct mt_style *style = report->style;

    mt_put_count_as(report->out, text, n,
                    !style || style->full || style->bytes);
}

static size_t report_put_note(const struct mt_report *report,
                              const char *prefix, const char *text,
                              uint64_t value)
{
    fputs(prefix, report->out);
    mt_report_put_count(report, text, value);
    putc('\n', report->out);
    return 1;
}

struct match_context {
    const struct mt_report *report;
    const char *prefix;
    size_t n;
};

static void report_put_match(void *context, const struct mt_module_match *match)
{
    struct match_context *c = context;
    FILE *out = c->report->out;

    if (!match->wrong)
        return;
    fputs(c->prefix, out);
    mt_put_text(out, match->path);
    fputs(strcmp(match->match, "mismatch") == 0
              ? ": the file here is not the one that ran (another "
                "build-id): no lines are taken from it; --sysroot names the "
                "folder of its files\n"
              : ": the file here cannot be read as ELF\n",
          out);
    c->n++;
}

size_t mt_print_notes(const struct mt_report *report, const char *prefix)
{
    const struct mt_model *model = report->model;
    const struct mt_coverage *c = &model->coverage;
    struct note notes[MAX_NOTES];
    size_t n = 0;

    if (c->interrupted)
        n += report_put_note(report, prefix,
                             "stopped early: the sums are too low", 0);
    if (model->source->coverage.let_go)
        n += report_put_note(
            report, prefix,
            "the process resumed before all was read, because memtrace was "
            "suspended: the report is not of one moment",
            0);
    if (c->not_ready)
        n += report_put_note(report, prefix, "the target was still starting up",
                             0);
    if (c->pid_mismatch)
        n += report_put_note(report, prefix,
                             "the trace belongs to a different process: %s",
                             model->pid);
    if (c->root_method != MT_ROOT_BY_SYMBOL)
        n += report_put_note(
            report, prefix,
            "the symbol memtrace_root was not found; the trace was "
            "found by its magic",
            0);
    if (c->schema_missing)
        n += report_put_note(
            report, prefix,
            "the trace's schema could not be read: its fields are "
            "assumed to be this reader's",
            0);
    if (c->suppressions_lost)
        n += report_put_note(
            report, prefix,
            "the suppressions that the program has itself are longer "
            "than 1 MiB, or damaged: they do not count",
            0);
    if (model->source->coverage.tables_incomplete)
        n += report_put_note(report, prefix,
                             model->source->process.kind == MT_SOURCE_CORE
                                 ? "the core's tables are cut off"
                                 : "not all mappings of the process are known",
                             0);
    if (model->sample_bytes > 0)
        n +=
            report_put_note(report, prefix,
                            "the trace is a sample, one in %s bytes: bytes and "
                            "counts of stacks are estimates",
                            model->sample_bytes);
    note_counts(c, &model->source->coverage, notes);
    for (size_t i = 0; notes[i].text; i++)
        if (notes[i].value > 0)
            n += report_put_note(report, prefix, notes[i].text, notes[i].value);
    n += mt_print_other_heaps(report, prefix);
    if (report->resolver) {
        struct match_context matches = {report, prefix, 0};
        if (mt_model_lacks_memory(model))
            mt_resolver_lacks(report->resolver);
        mt_resolver_matches(report->resolver, report_put_match, &matches);
        n += matches.n;
    }
    return n;
}
