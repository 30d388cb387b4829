/* SPDX-License-Identifier: BSD-2-Clause
 *
 * suppress.h - leaks that are not to be reported: the files that
 * LeakSanitizer and Valgrind read, as they are.
 *
 * LeakSanitizer: lines `leak:PATTERN`.  The pattern is looked for in the
 * function, module and source file of every frame; `*` stands for any text,
 * `^` and `$` tie it to the start and the end.
 *
 * Valgrind: entries in braces, those of Memcheck:Leak; all others are passed
 * over.  `fun:`, `obj:`, `src:` and `...` match frames from the innermost on,
 * `*` and `?` in them.  Valgrind's innermost frame is the allocation function
 * itself, which the trace does not name: the first pattern is compared with
 * the names of all of them.
 */
#ifndef MT_SUPPRESS_H
#define MT_SUPPRESS_H

#include "coreanalyze/base/json.h"
#include "coreanalyze/ci/findings.h"

#include <stdio.h>

enum mt_pattern_kind {
    MT_PATTERN_ANY, /* LeakSanitizer's */
    MT_PATTERN_FUN, /* Valgrind's */
    MT_PATTERN_OBJ,
    MT_PATTERN_SRC,
    MT_PATTERN_MANY, /* "...": any number of frames */
};

struct mt_pattern {
    enum mt_pattern_kind kind;
    char *text; /* NULL for MANY */
};

struct mt_suppression {
    char *name;
    const char *file; /* owned by the set */
    unsigned line;    /* where it begins */
    unsigned kinds;   /* bits of enum mt_leak_kind */
    struct mt_pattern *patterns;
    size_t n_patterns, patterns_capacity;
    bool by_default; /* nobody asked for it: not reported unless it is used */
    uint64_t rows, blocks, bytes; /* suppressed so far */
};

struct mt_suppressions {
    struct mt_suppression *all;
    size_t n, capacity;
    char **files; /* names */
    size_t n_files, files_capacity;
    bool by_default; /* of those that are added from now on */
};

/* Adds a file's.  False with `error` filled: "FILE:LINE: what is wrong". */
bool mt_suppressions_read(struct mt_suppressions *, const char *path,
                          struct mt_error *error);
/* Adds those of a text; `name` stands for the file. */
bool mt_suppressions_parse(struct mt_suppressions *, const char *name,
                           const char *text, struct mt_error *error);
void mt_suppressions_free(struct mt_suppressions *);

/* The first that matches; it counts the leak.  NULL if none does. */
const struct mt_suppression *mt_suppress(struct mt_suppressions *,
                                         const struct mt_leak *leak);
/* Does it match?  Nothing is counted. */
bool mt_suppression_matches(const struct mt_suppression *,
                            const struct mt_leak *leak);

/* Prints how much each suppression suppressed, and those that matched
 * nothing. */
void mt_print_suppressions(const struct mt_suppressions *, FILE *out);
void mt_json_put_suppressions(struct mt_json *, const struct mt_suppressions *);
/* An entry for the leak, in Valgrind's form. */
void mt_print_suppression_of(const struct mt_leak *leak, FILE *out);

#endif
