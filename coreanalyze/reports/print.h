/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print.h - the forms that a report comes out in.
 */
#ifndef MT_REPORTS_PRINT_H
#define MT_REPORTS_PRINT_H

#include "coreanalyze/names/resolve.h"
#include "coreanalyze/analyses/show.h"

#include <stdio.h>

struct mt_style;
struct mt_report {
    struct mt_model *model;
    const struct mt_show *show;
    struct mt_resolver *resolver; /* NULL: no stacks are to be printed */
    FILE *out;
    const char *const *kinds;     /* names of the rows' kinds, or NULL */
    const struct mt_style *style; /* NULL: the whole form */
};

/* For a person: a summary, and the largest stacks, each by the program's frame
 * that allocated. */
void mt_print_show(const struct mt_report *report);
/* The lines above the rows. */
void mt_print_show_summary(const struct mt_report *report);

/* Header, totals and stacks of every heap, in the form of VPP's `show
 * memory-trace`; then what the report does not see. */
void mt_print_table(const struct mt_report *report);
/* The headers and totals alone. */
void mt_print_heaps(const struct mt_report *report);
/* One line per stack, root first, for flame graphs. */
bool mt_print_folded(const struct mt_report *report, struct mt_error *error);
/* The same, of a show that needs its rows no more: they are taken out of it. */
bool mt_print_folded_last(const struct mt_report *report, struct mt_show *show,
                          struct mt_error *error);
/* The text of such a line without its number, to be freed; NULL when out of
 * memory. */
char *mt_folded_text(const struct mt_report *report,
                     const struct mt_show_row *row);
/* JSON, version 1 (memtrace(1)); without "stacks" if `resolver` is NULL. */
void mt_print_json(const struct mt_report *report);
/* The same as JSON, version 2: frames, and paths of calls, once each. `more`
 * writes members of its own, or is NULL. */
struct mt_json;
struct mt_profile;
void mt_print_json2(const struct mt_report *report,
                    const struct mt_profile *profile, const char *kind,
                    void (*more)(void *context, struct mt_json *json),
                    void *context);
/* The members of that, into an object that is open. */
void mt_json_put_profile(struct mt_json *json, const struct mt_report *report,
                         const struct mt_profile *profile);
/* Process, heaps, coverage and health. */
void mt_print_info(const struct mt_report *report);

/* Pieces of the above, for other reports.  Process and core, one line. */
void mt_print_target(const struct mt_report *report);
void mt_print_saved_at(const struct mt_report *report);
/* The frames of a row, the first one at the current column, the others at
 * `indent`, and what is wrong with them. */
void mt_print_row_frames(const struct mt_report *report,
                         const struct mt_show_row *row, int indent);
/* The size classes of a heap, if they were asked for. */
void mt_print_classes(const struct mt_report *report, uint32_t heap);
/* The column Ages of a row, returns its width; and what its digits mean. */
int mt_print_row_ages(const struct mt_report *report,
                      const struct mt_show_row *row);
void mt_print_ages_time(const struct mt_report *report);
struct mt_json;
/* The members "target", "stacks" and "coverage". */
void mt_json_put_target(struct mt_json *, struct mt_model *);
void mt_json_put_stacks(struct mt_json *, const struct mt_report *);
void mt_json_put_coverage(struct mt_json *, const struct mt_report *);
/* The members "heaps", "untraced" and "pages"; the items of "modules". */
void mt_json_put_heaps(struct mt_json *, const struct mt_report *);
void mt_json_put_untraced(struct mt_json *, const struct mt_report *);
void mt_json_put_pages(struct mt_json *, const struct mt_report *);
/* The member "time": what --since and --older let through, in seconds ago. */
void mt_json_put_time(struct mt_json *, const struct mt_report *);
/* The member "frames" of a row; `texts` of frame_texts.h may be NULL. */
struct mt_frame_texts;
void mt_json_put_frames(struct mt_json *, const struct mt_report *,
                        const struct mt_show_row *, struct mt_frame_texts *);
void mt_json_put_sum(struct mt_json *, const char *key,
                     const struct mt_show_sum *);

/* A text about n things, of mt_put_count_as(). */
void mt_report_put_count(const struct mt_report *report, const char *text,
                         uint64_t n);
/* Prints the notes that all reports share, a line each after `prefix`: what the
 * report does not see, and damage of the trace.  Returns their number. */
size_t mt_print_notes(const struct mt_report *report, const char *prefix);
/* other_heaps.c: allocators in the target whose blocks are not seen. */
size_t mt_print_other_heaps(const struct mt_report *report, const char *prefix);
struct mt_json;
void mt_json_other_heaps(struct mt_json *json, struct mt_model *model);
/* The pages of a heap, as far as the source knows them. */
void mt_report_pages(const struct mt_report *report, uint32_t heap,
                     struct mt_page_stats *stats);
/* The frames of a row's stack, resolved, innermost first: calls `visit` for
 * each. */
void mt_report_frames(const struct mt_report *report,
                      const struct mt_show_row *row,
                      void (*visit)(void *context, const struct mt_frame *),
                      void *context);
/* The same by program counter: its inlined calls are one visit. */
void mt_report_resolved(
    const struct mt_report *report, const struct mt_show_row *row,
    void (*visit)(void *context, const struct mt_resolved *), void *context);
/* As mt_report_frames(), those of libraries of the system by their function
 * alone (see mt_resolve_brief). */
void mt_report_brief_frames(
    const struct mt_report *report, const struct mt_show_row *row,
    void (*visit)(void *context, const struct mt_frame *), void *context);

#endif
