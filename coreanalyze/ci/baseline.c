/* SPDX-License-Identifier: BSD-2-Clause
 *
 * baseline.c - reads and writes the file of leaks that are accepted, and
 * finds a leak in it.
 */
#include "coreanalyze/ci/baseline.h"
#include "coreanalyze/analyses/leak_kind.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define VERSION "memtrace-baseline 1"
#define SHOWN_FRAMES 8u

static int baseline_by_identity(const void *a, const void *b)
{
    const struct mt_baseline_entry *x = a, *y = b;

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->fingerprint < y->fingerprint ? -1
                                           : x->fingerprint > y->fingerprint;
}

/* --- reading --- */

static bool baseline_parse_line(char *line, struct mt_baseline_entry *known)
{
    char kind[16], count[24], print[24];
    int end = 0;

    *known = (struct mt_baseline_entry){.kind = MT_N_LEAK_KINDS};
    if (sscanf(line, "%15s %23s %" SCNu64 " %23s %n", kind, count,
               &known->bytes, print, &end) < 4 ||
        end == 0)
        return false;
    for (unsigned i = 0; i < MT_N_LEAK_KINDS; i++)
        if (strcmp(kind, mt_leak_kind_names[i]) == 0)
            known->kind = i;
    known->any_count = strcmp(count, "*") == 0;
    if (!known->any_count) {
        char *rest;
        known->count = strtoull(count, &rest, 10);
        if (!isdigit((unsigned char)count[0]) || *rest)
            return false;
    }
    if (known->kind == MT_N_LEAK_KINDS || strlen(print) != 16 ||
        strspn(print, "0123456789abcdef") != 16)
        return false;
    known->fingerprint = strtoull(print, NULL, 16);
    known->stack = strdup(line + end);
    return known->stack != NULL;
}

static bool baseline_read_lines(struct mt_baseline *baseline, FILE *file,
                                const char *path, struct mt_error *error)
{
    size_t capacity = 0, bytes = 0;
    char *line = NULL;
    unsigned number = 0;
    bool ok = true;
    ssize_t n;

    while (ok && (n = getline(&line, &bytes, file)) >= 0) {
        struct mt_baseline_entry known;
        while (n > 0 && isspace((unsigned char)line[n - 1]))
            line[--n] = '\0';
        if (++number == 1) {
            ok = strcmp(line, VERSION) == 0 ||
                 mt_fail(error, "%s:1: not a baseline: no line '%s'", path,
                         VERSION);
        } else if (n > 0 && line[0] != '#') {
            ok =
                baseline_parse_line(line, &known) ||
                mt_fail(error, "%s:%u: not KIND BLOCKS BYTES FINGERPRINT STACK",
                        path, number);
            if (ok && !mt_grow(&baseline->known, &capacity, baseline->n + 1,
                               sizeof *baseline->known)) {
                free(known.stack);
                ok = mt_no_memory(error, "the baseline");
            }
            if (ok)
                baseline->known[baseline->n++] = known;
        }
    }
    free(line);
    if (ok && ferror(file))
        ok = mt_fail(error, "cannot read the baseline %s: %s", path,
                     strerror(errno));
    if (ok && number == 0)
        ok = mt_fail(error, "%s:1: not a baseline: it is empty", path);
    return ok;
}

bool mt_baseline_read(struct mt_baseline *baseline, const char *path,
                      struct mt_error *error)
{
    FILE *file = fopen(path, "re");
    bool ok;

    memset(baseline, 0, sizeof *baseline);
    if (file == NULL)
        return mt_fail(error, "cannot read the baseline %s: %s%s", path,
                       strerror(errno),
                       errno == ENOENT ? "; --update-baseline writes it" : "");
    ok = baseline_read_lines(baseline, file, path, error);
    fclose(file);
    if (ok && baseline->n > 0)
        qsort(baseline->known, baseline->n, sizeof *baseline->known,
              baseline_by_identity);
    return ok;
}

void mt_baseline_free(struct mt_baseline *baseline)
{
    for (size_t i = 0; i < baseline->n; i++)
        free(baseline->known[i].stack);
    free(baseline->known);
    memset(baseline, 0, sizeof *baseline);
}

static struct mt_baseline_entry *
baseline_find(const struct mt_baseline *baseline, unsigned kind,
              uint64_t fingerprint)
{
    struct mt_baseline_entry key = {.kind = kind, .fingerprint = fingerprint};

    return baseline->n == 0 ? NULL
                            : bsearch(&key, baseline->known, baseline->n,
                                      sizeof key, baseline_by_identity);
}

enum mt_leak_state mt_baseline_find(struct mt_baseline *baseline,
                                    const struct mt_leak *leak, uint64_t *count)
{
    struct mt_baseline_entry *known =
        baseline_find(baseline, leak->kind, leak->fingerprint);

    *count = 0;
    if (known == NULL)
        return MT_LEAK_NEW;
    known->seen = true;
    *count = known->count;
    return known->any_count || leak->count <= known->count ? MT_LEAK_KNOWN
                                                           : MT_LEAK_GROWN;
}

/* --- writing --- */

static void put_word(const char *text, FILE *out)
{
    for (; *text; text++)
        putc((unsigned char)*text <= 0x20 || *text == 0x7f ? '_' : *text, out);
}

static char *stack_text(const struct mt_leak *leak)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);

    if (out == NULL)
        return NULL;
    if (leak->n_frames == 0)
        fputs("(untraced)", out);
    for (size_t i = 0; i < leak->n_frames; i++) {
        const struct mt_leak_frame *f = &leak->frames[i];
        if (i > 0)
            fputs(" < ", out);
        if (i == SHOWN_FRAMES) {
            fputs("...", out);
            break;
        }
        put_word(f->function ? f->function
                 : f->module ? mt_base_name(f->module)
                             : "?",
                 out);
        if (f->function && strcmp(f->function, "main") == 0)
            break;
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

struct list {
    struct mt_baseline_entry *all;
    size_t n, capacity;
};

static bool baseline_add(struct list *list,
                         const struct mt_baseline_entry *known, char *stack)
{
    if (stack == NULL ||
        !mt_grow(&list->all, &list->capacity, list->n + 1, sizeof *list->all)) {
        free(stack);
        return false;
    }
    list->all[list->n] = *known;
    list->all[list->n++].stack = stack;
    return true;
}

/* Rows of one process that share a fingerprint are one leak already. */
static bool add_process(struct list *list, const struct mt_findings_process *p)
{
    for (size_t i = 0; i < p->n_leaks; i++) {
        const struct mt_leak *leak = &p->leaks[i];
        struct mt_baseline_entry known = {.kind = leak->kind,
                                          .fingerprint = leak->fingerprint,
                                          .count = leak->same_count,
                                          .bytes = leak->bytes};
        if ((leak->fails || leak->state == MT_LEAK_KNOWN) &&
            !baseline_add(list, &known, stack_text(leak)))
            return false;
    }
    return true;
}

/* The most of any process. */
static void baseline_unite(struct list *list)
{
    size_t kept = 0;

    if (list->n == 0)
        return;
    qsort(list->all, list->n, sizeof *list->all, baseline_by_identity);
    for (size_t i = 1; i < list->n; i++) {
        struct mt_baseline_entry *last = &list->all[kept], *k = &list->all[i];
        if (baseline_by_identity(last, k) != 0) {
            list->all[++kept] = *k;
            continue;
        }
        last->count = last->count > k->count ? last->count : k->count;
        last->bytes = last->bytes > k->bytes ? last->bytes : k->bytes;
        free(k->stack);
    }
    list->n = kept + 1;
}

static int by_stack(const void *a, const void *b)
{
    const struct mt_baseline_entry *x = a, *y = b;
    int order = strcmp(x->stack, y->stack);

    return order ? order : baseline_by_identity(a, b);
}

static void baseline_put_all(const struct mt_baseline *old, struct list *list,
                             FILE *out)
{
    fputs(VERSION "\n# KIND BLOCKS BYTES FINGERPRINT STACK: leaks that do not "
                  "fail; BLOCKS may be *\n",
          out);
    if (list->n > 0)
        qsort(list->all, list->n, sizeof *list->all, by_stack);
    for (size_t i = 0; i < list->n; i++) {
        const struct mt_baseline_entry *k = &list->all[i];
        const struct mt_baseline_entry *before =
            baseline_find(old, k->kind, k->fingerprint);
        fputs(mt_leak_kind_names[k->kind], out);
        if (before && before->any_count)
            fputs(" *", out);
        else
            fprintf(out, " %" PRIu64, k->count);
        fprintf(out, " %" PRIu64 " %016" PRIx64 " %s\n", k->bytes,
                k->fingerprint, k->stack);
    }
}

bool mt_baseline_write(const struct mt_baseline *old, bool keep,
                       const struct mt_findings *findings, FILE *out,
                       struct mt_error *error)
{
    struct list list = {0};
    bool ok = true;

    for (size_t i = 0; ok && i < findings->n_processes; i++)
        ok = add_process(&list, &findings->processes[i]);
    for (size_t i = 0; ok && keep && i < old->n; i++)
        if (!old->known[i].seen)
            ok = baseline_add(&list, &old->known[i],
                              strdup(old->known[i].stack));
    baseline_unite(&list);
    if (ok)
        baseline_put_all(old, &list, out);
    else
        mt_no_memory(error, "the baseline");
    for (size_t i = 0; i < list.n; i++)
        free(list.all[i].stack);
    free(list.all);
    return ok;
}
