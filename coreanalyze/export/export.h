/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export.h - a profile as a file of another program.
 */
#ifndef MT_EXPORT_H
#define MT_EXPORT_H

#include "coreanalyze/analyses/merged_graph.h"
#include "coreanalyze/profile/profile.h"
#include "coreanalyze/reports/print.h"
#include "coreanalyze/reports/print_retained.h"

#include <stdio.h>

/* A profile and the report that it was made for. */
struct mt_export_side {
    const struct mt_profile *profile; /* or NULL: the format makes its own */
    const struct mt_report *report;   /* NULL: the side does not exist */
    const struct mt_profile_options *options; /* for that */
};

struct mt_export {
    struct mt_export_side now;
    struct mt_export_side old; /* of a comparison */
    FILE *out;
    bool no_peak; /* pprof: the four types that Go's heap profiles have */
    /* Who holds what, and how to name holders; of formats that search. */
    const struct mt_merged *merged;
    const struct mt_retained_report *holders;
};

struct mt_export_format {
    const char *name;   /* of --format */
    const char *suffix; /* of a file's name that stands for it */
    const char *reader; /* the program that opens it */
    bool compares;      /* may have an old side */
    bool searches;      /* needs to know who holds what */
    bool by_rows;       /* of one target, it is written without a profile */
    /* Of the profile that it is written from, besides blocks without a stack;
     * 0: samples are written as they come. */
    unsigned parts;
    bool (*write)(const struct mt_export *export, struct mt_error *error);
};
/* All formats; the last one has no name. */
extern const struct mt_export_format mt_export_formats[];

/* The format of that name; or, if `name` is NULL, that of a file's suffix.
 * NULL if there is none. */
const struct mt_export_format *mt_export_find(const char *name,
                                              const char *path);

/* Each returns false with `error` filled if memory is short. */
bool mt_export_pprof(const struct mt_export *export, struct mt_error *error);
bool mt_export_folded(const struct mt_export *export, struct mt_error *error);
bool mt_export_speedscope(const struct mt_export *export,
                          struct mt_error *error);
bool mt_export_dhat(const struct mt_export *export, struct mt_error *error);
bool mt_export_massif(const struct mt_export *export, struct mt_error *error);
bool mt_export_heapsnapshot(const struct mt_export *export,
                            struct mt_error *error);
bool mt_export_callgrind(const struct mt_export *export,
                         struct mt_error *error);

/* The nodes of a path, the root's child first; returns how many.  `path` has
 * room for MT_EXPORT_DEPTH of them: deeper paths lose their outermost. */
#define MT_EXPORT_DEPTH 65536u
size_t mt_export_path(const struct mt_profile *profile, uint32_t node,
                      uint32_t *path);
/* Is it known what was live at the peak, and was that more than what is live? A
 * peak is known by stack, not by heap or age. */
bool mt_export_has_peak(const struct mt_profile *profile);
/* The command line of a target, or its program. */
const char *mt_export_command(const struct mt_model *model);
/* "0x401136: parse (json.c:12)", as Valgrind's tools have it. */
void mt_export_put_frame(FILE *out, const struct mt_profile *profile,
                         const struct mt_profile_frame *frame);

#endif
