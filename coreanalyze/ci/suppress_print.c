/* SPDX-License-Identifier: BSD-2-Clause
 *
 * suppress_print.c - what suppressions did, and new ones.
 */
#include "coreanalyze/analyses/leak_kind.h"
#include "coreanalyze/ci/suppress.h"
#include "coreanalyze/base/text.h"

#include <inttypes.h>
#include <string.h>

#define MAX_CALLERS 24u /* that Valgrind takes, the first one is malloc */

static void put_name(const struct mt_suppression *s, FILE *out)
{
    mt_put_text(out, s->name);
    fputs(" (", out);
    mt_put_text(out, s->file);
    fprintf(out, ":%u)\n", s->line);
}

void mt_print_suppressions(const struct mt_suppressions *set, FILE *out)
{
    bool any = false;

    for (size_t i = 0; i < set->n; i++) {
        const struct mt_suppression *s = &set->all[i];
        if (s->rows == 0)
            continue;
        if (!any)
            fprintf(out, "  suppressed:\n  %8s %8s %13s  suppression\n",
                    "stacks", "blocks", "bytes");
        any = true;
        fprintf(out, "  %8" PRIu64 " %8" PRIu64 " %13" PRIu64 "  ", s->rows,
                s->blocks, s->bytes);
        put_name(s, out);
    }
    for (size_t i = 0; i < set->n; i++) {
        if (set->all[i].rows > 0 || set->all[i].by_default)
            continue;
        fputs("  unused suppression: ", out);
        put_name(&set->all[i], out);
    }
}

void mt_json_put_suppressions(struct mt_json *json,
                              const struct mt_suppressions *set)
{
    mt_json_open(json, "suppressions", '[');
    for (size_t i = 0; i < set->n; i++) {
        const struct mt_suppression *s = &set->all[i];
        if (s->rows == 0 && s->by_default)
            continue;
        mt_json_open(json, NULL, '{');
        mt_json_string(json, "name", s->name);
        mt_json_string(json, "file", s->file);
        mt_json_u64(json, "line", s->line);
        mt_json_u64(json, "stacks", s->rows);
        mt_json_u64(json, "blocks", s->blocks);
        mt_json_u64(json, "bytes", s->bytes);
        mt_json_bool(json, "default", s->by_default);
        mt_json_close(json, '}');
    }
    mt_json_close(json, ']');
}

/* A name as a pattern: what has a meaning in patterns, and what does not fit
 * a line, becomes `?`. */
static void put_pattern(const char *prefix, const char *text, FILE *out)
{
    size_t n = strlen(text);

    fputs(prefix, out);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        bool edge = i == 0 || i + 1 == n;
        putc(c < 0x20 || c == 0x7f || c == '*' || c == '\\' ||
                     (c == ' ' && edge)
                 ? '?'
                 : c,
             out);
    }
    putc('\n', out);
}

void mt_print_suppression_of(const struct mt_leak *leak, FILE *out)
{
    fprintf(out,
            "{\n   memtrace %016" PRIx64 "\n   Memcheck:Leak\n"
            "   match-leak-kinds: %s\n   fun:*\n",
            leak->fingerprint, mt_leak_kind_names[leak->kind]);
    for (size_t i = 0; i < leak->n_frames && i + 1 < MAX_CALLERS; i++) {
        const struct mt_leak_frame *f = &leak->frames[i];
        if (f->linkage || f->function)
            put_pattern("   fun:", f->linkage ? f->linkage : f->function, out);
        else
            put_pattern("   obj:", f->module ? f->module : "*", out);
        /* Valgrind's stacks end there. */
        if (f->function && strcmp(f->function, "main") == 0)
            break;
    }
    fputs("}\n", out);
}
