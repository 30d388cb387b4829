/* SPDX-License-Identifier: BSD-2-Clause
 *
 * suppress_match.c - does a suppression match a stack?  All in time linear in
 * pattern times text: patterns and names come from anywhere.
 */
#include "coreanalyze/ci/suppress.h"

#include <stdlib.h>
#include <string.h>

/* `*`: any text; `?`: any byte, if `any_byte`.  A mismatch goes back to the
 * last star only, which suffices. */
static bool match_glob(const char *pattern, size_t n, const char *text,
                       bool any_byte)
{
    size_t p = 0, star = 0;
    const char *back = NULL;

    while (*text) {
        if (p < n && pattern[p] == '*') {
            star = ++p;
            back = text;
        } else if (p < n &&
                   (pattern[p] == *text || (any_byte && pattern[p] == '?'))) {
            p++;
            text++;
        } else if (back) {
            p = star;
            text = ++back;
        } else {
            return false;
        }
    }
    while (p < n && pattern[p] == '*')
        p++;
    return p == n;
}

/* --- LeakSanitizer --- */

static bool match_starts(const char *pattern, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++)
        if (text[i] == '\0' || text[i] != pattern[i])
            return false;
    return true;
}

/* Matches without returning the rest of the text. */
static bool glob_start(const char *pattern, size_t n, const char *text)
{
    size_t p = 0;

    while (p < n) {
        size_t part = 0;
        while (p + part < n && pattern[p + part] != '*')
            part++;
        /* After a star, the first place is as good as any. */
        while (!match_starts(pattern + p, part, text)) {
            if (p == 0 || *text == '\0')
                return false;
            text++;
        }
        text += part;
        p += part + 1;
    }
    return true;
}

static bool match_contains(const char *pattern, const char *text)
{
    bool start = pattern[0] == '^';
    const char *end;
    size_t n;

    if (text == NULL || text[0] == '\0')
        return false;
    pattern += start;
    end = strchr(pattern, '$');
    n = end ? (size_t)(end - pattern) : strlen(pattern);
    for (;; text++) {
        if (end ? match_glob(pattern, n, text, false)
                : glob_start(pattern, n, text))
            return true;
        if (start || *text == '\0')
            return false;
    }
}

static bool leak_matches(const char *pattern, const struct mt_leak *leak)
{
    for (size_t i = 0; i < leak->n_frames; i++) {
        const struct mt_leak_frame *f = &leak->frames[i];
        if (match_contains(pattern, f->function) ||
            match_contains(pattern, f->full) ||
            match_contains(pattern, f->module) ||
            match_contains(pattern, f->file))
            return true;
    }
    return false;
}

/* --- Valgrind --- */

/* The allocation function itself: the trace begins with its caller. */
static const char *const allocators[] = {
    "malloc",
    "calloc",
    "realloc",
    "reallocarray",
    "memalign",
    "posix_memalign",
    "aligned_alloc",
    "valloc",
    "pvalloc",
    "_Znwm",
    "_Znam",
    "_ZnwmRKSt9nothrow_t",
    "_ZnamRKSt9nothrow_t",
    "_ZnwmSt11align_val_t",
    "_ZnamSt11align_val_t",
    "_ZnwmSt11align_val_tRKSt9nothrow_t",
    "_ZnamSt11align_val_tRKSt9nothrow_t",
    "operator new(unsigned long)",
    "operator new[](unsigned long)",
    "__builtin_new",
    "__builtin_vec_new",
    NULL,
};

static const char *const below_main[] = {"__libc_start_main",
                                         "__libc_start_call_main", "_start",
                                         "(below main)", NULL};

static bool any_of(const char *pattern, const char *const names[])
{
    for (; *names; names++)
        if (match_glob(pattern, strlen(pattern), *names, true))
            return true;
    return false;
}

static bool function_matches(const char *pattern, const char *name)
{
    const char *version = strchr(pattern, '@');

    if (name == NULL)
        return false;
    /* pthread_create@@GLIBC_2.2.5: names here have no version. */
    return match_glob(pattern, strlen(pattern), name, true) ||
           (version && version > pattern &&
            match_glob(pattern, (size_t)(version - pattern), name, true));
}

static bool below_main_matches(const char *pattern, const char *name)
{
    if (name == NULL || strcmp(pattern, "(below main)") != 0)
        return false;
    for (size_t i = 0; below_main[i]; i++)
        if (strcmp(name, below_main[i]) == 0)
            return true;
    return false;
}

/* FILE or FILE:LINE; Valgrind's files have no folder. */
static bool source_matches(const char *pattern, const struct mt_leak_frame *f)
{
    const char *colon = strrchr(pattern, ':'), *base;
    size_t n = colon ? (size_t)(colon - pattern) : strlen(pattern);

    if (f->file == NULL)
        return false;
    base = strrchr(f->file, '/');
    base = base && base[1] ? base + 1 : f->file;
    if (colon && strtoul(colon + 1, NULL, 10) != f->line)
        return false;
    return match_glob(pattern, n, base, true) ||
           match_glob(pattern, n, f->file, true);
}

static bool frame_matches(const struct mt_pattern *pattern,
                          const struct mt_leak_frame *f)
{
    const char *text = pattern->text;

    switch (pattern->kind) {
    case MT_PATTERN_FUN:
        if (f->function == NULL && f->linkage == NULL)
            return match_glob(text, strlen(text), "", true);
        return function_matches(text, f->linkage) ||
               function_matches(text, f->function) ||
               function_matches(text, f->full) ||
               below_main_matches(text, f->function);
    case MT_PATTERN_OBJ:
        return match_glob(text, strlen(text), f->module ? f->module : "", true);
    case MT_PATTERN_SRC:
        return source_matches(text, f);
    default:
        return false;
    }
}

/* The library that Memcheck's malloc is in, or ours. */
static bool allocator_matches(const struct mt_pattern *pattern)
{
    static const char *const objects[] = {
        "/usr/libexec/valgrind/vgpreload_memcheck-amd64-linux.so",
        "/usr/lib/valgrind/vgpreload_memcheck-amd64-linux.so",
        "/usr/lib/x86_64-linux-gnu/libmemtrace-preload.so", NULL};

    if (pattern->kind == MT_PATTERN_FUN)
        return any_of(pattern->text, allocators);
    return pattern->kind == MT_PATTERN_OBJ && any_of(pattern->text, objects);
}

/* Frame 0 is the allocation function, i that of leak->frames[i - 1]. */
static bool valgrind_matches(const struct mt_suppression *s,
                             const struct mt_leak *leak)
{
    size_t p = 0, i = 0, star = 0, back = 0;
    bool starred = false;

    /* Only the pattern has to be used up; the stack may be longer. */
    while (p < s->n_patterns) {
        const struct mt_pattern *pattern = &s->patterns[p];
        if (pattern->kind == MT_PATTERN_MANY) {
            star = ++p;
            back = i;
            starred = true;
        } else if (i <= leak->n_frames &&
                   (i == 0 ? allocator_matches(pattern)
                           : frame_matches(pattern, &leak->frames[i - 1]))) {
            p++;
            i++;
        } else if (starred && back < leak->n_frames) {
            p = star;
            i = ++back;
        } else {
            return false;
        }
    }
    return true;
}

/* --- both --- */

bool mt_suppression_matches(const struct mt_suppression *s,
                            const struct mt_leak *leak)
{
    if (!(s->kinds & 1u << leak->kind))
        return false;
    if (s->n_patterns == 1 && s->patterns[0].kind == MT_PATTERN_ANY)
        return leak_matches(s->patterns[0].text, leak);
    return valgrind_matches(s, leak);
}

const struct mt_suppression *mt_suppress(struct mt_suppressions *set,
                                         const struct mt_leak *leak)
{
    for (size_t i = 0; i < set->n; i++) {
        struct mt_suppression *s = &set->all[i];
        if (!mt_suppression_matches(s, leak))
            continue;
        s->rows++;
        s->blocks += leak->count + leak->indirect_count;
        s->bytes += mt_leak_bytes(leak);
        return s;
    }
    return NULL;
}
