/* SPDX-License-Identifier: BSD-2-Clause
 *
 * suppress_read.c - the two formats of suppressions.
 */
#include "coreanalyze/analyses/leak_kind.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/ci/suppress.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE (64u << 20) /* bytes */
#define MAX_FRAMES 1024u

struct lines {
    struct mt_suppressions *set;
    const char *file, *next; /* what is left of the text */
    unsigned number;
    char *line; /* without spaces at its ends; owned */
    struct mt_error *error;
};

static bool out_of_memory(struct lines *l)
{
    return mt_no_memory(l->error, "the suppressions");
}

static bool suppressions_wrong(struct lines *l, const char *what,
                               const char *text)
{
    return mt_fail(l->error, "%s:%u: %s%s%.80s%s", l->file, l->number, what,
                   text ? " '" : "", text ? text : "", text ? "'" : "");
}

/* The next line that is neither empty nor a comment; false at the end. */
static bool next_line(struct lines *l)
{
    while (*l->next) {
        const char *start = l->next, *end = start + strcspn(start, "\n");
        l->next = *end ? end + 1 : end;
        l->number++;
        while (start < end && isspace((unsigned char)*start))
            start++;
        while (end > start && isspace((unsigned char)end[-1]))
            end--;
        if (start == end || *start == '#')
            continue;
        free(l->line);
        l->line = strndup(start, (size_t)(end - start));
        return l->line != NULL;
    }
    return false;
}

static struct mt_suppression *suppressions_add(struct lines *l,
                                               const char *name)
{
    struct mt_suppressions *set = l->set;
    struct mt_suppression *s;

    if (!mt_grow(&set->all, &set->capacity, set->n + 1, sizeof *set->all))
        return NULL;
    s = &set->all[set->n];
    s->name = strdup(name);
    if (s->name == NULL)
        return NULL;
    s->file = l->file;
    s->line = l->number;
    s->by_default = set->by_default;
    s->kinds = (1u << MT_N_LEAK_KINDS) - 1;
    set->n++;
    return s;
}

static bool add_pattern(struct lines *l, struct mt_suppression *s,
                        enum mt_pattern_kind kind, const char *text)
{
    char *copy = text ? strdup(text) : NULL;

    if ((text && copy == NULL) ||
        !mt_grow(&s->patterns, &s->patterns_capacity, s->n_patterns + 1,
                 sizeof *s->patterns)) {
        free(copy);
        return out_of_memory(l);
    }
    s->patterns[s->n_patterns++] = (struct mt_pattern){kind, copy};
    return true;
}

/* --- LeakSanitizer --- */

static bool read_leak(struct lines *l)
{
    struct mt_suppression *s;

    if (strncmp(l->line, "leak:", 5) != 0)
        return suppressions_wrong(
            l, "neither leak:PATTERN nor an entry in braces:", l->line);
    if (l->line[5] == '\0')
        return suppressions_wrong(l, "leak: without a pattern", NULL);
    s = suppressions_add(l, l->line);
    return s ? add_pattern(l, s, MT_PATTERN_ANY, l->line + 5)
             : out_of_memory(l);
}

/* --- Valgrind --- */

/* "Memcheck:Leak", "Addrcheck,Memcheck:Leak"; *skip: not for us. */
static bool take_tool(struct lines *l, bool *skip)
{
    const char *colon = strchr(l->line, ':'), *tool = l->line;
    bool ours = false;

    if (colon == NULL || colon == l->line || colon[1] == '\0')
        return suppressions_wrong(l,
                                  "not TOOL:KIND, as Memcheck:Leak:", l->line);
    while (tool < colon) {
        size_t n = strcspn(tool, ",:");
        ours |= n == 8 && memcmp(tool, "Memcheck", 8) == 0;
        tool += n + 1;
    }
    *skip = !ours || strcmp(colon + 1, "Leak") != 0;
    return true;
}

static bool take_match_kinds(struct lines *l, struct mt_suppression *s,
                             const char *text)
{
    static const struct {
        const char *name;
        unsigned bits;
    } names[] = {{"definite", 1u << MT_LEAK_DEFINITE},
                 {"indirect", 1u << MT_LEAK_INDIRECT},
                 {"possible", 1u << MT_LEAK_POSSIBLE},
                 {"reachable", 1u << MT_LEAK_REACHABLE},
                 {"all", (1u << MT_N_LEAK_KINDS) - 1},
                 {"none", 0}};

    s->kinds = 0;
    for (;;) {
        size_t length, i = 0;
        text += strspn(text, " \t");
        length = strcspn(text, ", \t");
        while (i < 6 && (strlen(names[i].name) != length ||
                         memcmp(names[i].name, text, length) != 0))
            i++;
        if (i == 6)
            return suppressions_wrong(l, "no kind of leaks:", text);
        s->kinds |= names[i].bits;
        text += length;
        text += strspn(text, " \t");
        if (*text == '\0')
            return true;
        if (*text++ != ',')
            return suppressions_wrong(l, "no kind of leaks:", text - 1);
    }
}

static bool suppressions_take_frame(struct lines *l, struct mt_suppression *s)
{
    static const struct {
        const char *prefix;
        enum mt_pattern_kind kind;
    } kinds[] = {{"fun:", MT_PATTERN_FUN},
                 {"obj:", MT_PATTERN_OBJ},
                 {"src:", MT_PATTERN_SRC}};

    if (s->n_patterns >= MAX_FRAMES)
        return suppressions_wrong(l, "too many frames", NULL);
    if (strcmp(l->line, "...") == 0)
        return add_pattern(l, s, MT_PATTERN_MANY, NULL);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strncmp(l->line, kinds[i].prefix, 4) == 0)
            return add_pattern(l, s, kinds[i].kind, l->line + 4);
    return suppressions_wrong(l, "neither fun:, obj:, src: nor ... :", l->line);
}

static bool skip_entry(struct lines *l, unsigned start)
{
    while (next_line(l))
        if (strcmp(l->line, "}") == 0)
            return true;
    l->number = start;
    return suppressions_wrong(l, "no } ends this entry", NULL);
}

static bool has_frame(const struct mt_suppression *s)
{
    for (size_t i = 0; i < s->n_patterns; i++)
        if (s->patterns[i].kind != MT_PATTERN_MANY)
            return true;
    return false;
}

/* After the opening brace. */
static bool read_entry(struct lines *l)
{
    static const char kinds[] = "match-leak-kinds:";
    unsigned start = l->number;
    struct mt_suppression *s;
    char *name;
    bool skip = false, first = true;

    if (!next_line(l) || strcmp(l->line, "}") == 0)
        return suppressions_wrong(l, "an entry without a name", NULL);
    name = l->line;
    l->line = NULL;
    if (!next_line(l) || !take_tool(l, &skip)) {
        free(name);
        return l->error->text[0] != '\0'
                   ? false
                   : suppressions_wrong(l, "an entry without TOOL:KIND", NULL);
    }
    if (skip) {
        free(name);
        return skip_entry(l, start);
    }
    s = suppressions_add(l, name);
    free(name);
    if (s == NULL)
        return out_of_memory(l);
    s->line = start;
    for (; next_line(l); first = false) {
        if (strcmp(l->line, "}") == 0)
            return has_frame(s) ||
                   suppressions_wrong(l, "an entry without frames", NULL);
        if (first && strncmp(l->line, kinds, sizeof kinds - 1) == 0) {
            if (!take_match_kinds(l, s, l->line + sizeof kinds - 1))
                return false;
        } else if (!suppressions_take_frame(l, s)) {
            return false;
        }
    }
    l->number = start;
    return suppressions_wrong(l, "no } ends this entry", NULL);
}

/* --- both --- */

bool mt_suppressions_parse(struct mt_suppressions *set, const char *name,
                           const char *text, struct mt_error *error)
{
    struct lines l = {.set = set, .next = text, .error = error};
    bool ok = true;

    if (!mt_grow(&set->files, &set->files_capacity, set->n_files + 1,
                 sizeof *set->files) ||
        (set->files[set->n_files] = strdup(name)) == NULL)
        return out_of_memory(&l);
    l.file = set->files[set->n_files++];
    error->text[0] = '\0';
    while (ok && next_line(&l))
        ok = strcmp(l.line, "{") == 0 ? read_entry(&l) : read_leak(&l);
    free(l.line);
    return ok;
}

bool mt_suppressions_read(struct mt_suppressions *set, const char *path,
                          struct mt_error *error)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t n = 0, capacity = 0, got;
    bool ok = file != NULL;

    while (ok && n < MAX_FILE) {
        ok = mt_grow(&text, &capacity, n + 65536 + 1, 1);
        got = ok ? fread(text + n, 1, 65536, file) : 0;
        n += got;
        if (got == 0)
            break;
    }
    if (file == NULL || ferror(file))
        mt_fail(error, "cannot read the suppressions %s: %s", path,
                strerror(errno));
    else if (!ok)
        mt_no_memory(error, "the suppressions");
    else if (n >= MAX_FILE)
        ok = mt_fail(error, "%s: too large for suppressions", path);
    else if (memchr(text, '\0', n))
        ok = mt_fail(error, "%s: not a text file", path);
    ok = ok && !ferror(file);
    if (ok) {
        text[n] = '\0';
        ok = mt_suppressions_parse(set, path, text, error);
    }
    if (file)
        fclose(file);
    free(text);
    return ok;
}

void mt_suppressions_free(struct mt_suppressions *set)
{
    for (size_t i = 0; i < set->n; i++) {
        struct mt_suppression *s = &set->all[i];
        for (size_t j = 0; j < s->n_patterns; j++)
            free(s->patterns[j].text);
        free(s->patterns);
        free(s->name);
    }
    for (size_t i = 0; i < set->n_files; i++)
        free(set->files[i]);
    free(set->all);
    free(set->files);
    memset(set, 0, sizeof *set);
}
