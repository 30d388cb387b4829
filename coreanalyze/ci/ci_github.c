/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ci_github.c - annotations: commands that GitHub's runners take out of the
 * output of a step.  They show ten of a kind in a step.
 */
#include "coreanalyze/ci/ci_formats.h"
#include "coreanalyze/base/text.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_ANNOTATIONS 10u
#define MAX_FRAMES 8u

/* `property`: the value ends at a comma or colon. */
static void ci_github_put(FILE *out, const char *text, bool property)
{
    while (*text) {
        size_t n = mt_utf8_length(text);
        unsigned char c = (unsigned char)*text;
        if (n == 0)
            fputs("\xef\xbf\xbd", out);
        else if (c == '%' || c == '\r' || c == '\n' ||
                 (property && (c == ':' || c == ',')))
            fprintf(out, "%%%02X", c);
        else if (n == 1 && (c < 0x20 || c == 0x7f))
            putc('?', out);
        else
            fwrite(text, 1, n, out);
        text += n ? n : 1;
    }
}

/* The runner maps paths below the folder of the repository to its files. */
static const char *below_here(const char *path)
{
    char here[PATH_MAX];
    size_t n;

    if (getcwd(here, sizeof here) == NULL)
        return path;
    n = strlen(here);
    return n > 1 && strncmp(path, here, n) == 0 && path[n] == '/' ? path + n + 1
                                                                  : path;
}

static char *message_of(const struct mt_failing *failing)
{
    const struct mt_leak *leak = failing->leak;
    char *text = NULL, title[200];
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);

    if (out == NULL)
        return NULL;
    mt_leak_title(leak, title, sizeof title);
    fputs(title, out);
    if (leak->state == MT_LEAK_GROWN)
        mt_put_count(out, " (the baseline has %s block{|s})",
                     leak->known_count);
    mt_ci_leak_stack(leak, "\n  ", MAX_FRAMES, out);
    fprintf(out, "\nin process %u (", failing->process->pid);
    mt_put_text(out,
                failing->process->command ? failing->process->command : "?");
    putc(')', out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static void put_failing(const struct mt_failing *failing, FILE *out)
{
    const struct mt_leak *leak = failing->leak;
    const struct mt_leak_frame *site =
        mt_leak_site(leak->frames, leak->title, leak->n_frames);
    char *message = message_of(failing);

    fputs("::error ", out);
    if (site) {
        fputs("file=", out);
        ci_github_put(out, below_here(site->file), true);
        fprintf(out, ",line=%u,", site->line);
    }
    fputs("title=memtrace%3A leak::", out);
    ci_github_put(out, message ? message : "out of memory for the message",
                  false);
    putc('\n', out);
    free(message);
}

static void ci_github_put_unchecked(const struct mt_ci *ci, size_t n, FILE *out)
{
    const struct mt_findings_process *first = NULL;

    for (size_t i = 0; first == NULL && i < ci->findings->n_processes; i++)
        if (ci->findings->processes[i].result == MT_RESULT_NOT_CHECKED)
            first = &ci->findings->processes[i];
    fprintf(out,
            "::error title=memtrace%%3A not checked::%zu process%s not "
            "checked; process %u (",
            n, n == 1 ? " was" : "es were", first ? first->pid : 0);
    ci_github_put(out, first && first->command ? first->command : "?", false);
    fputs("): ", out);
    ci_github_put(out, first && first->why ? first->why : "?", false);
    putc('\n', out);
}

static void ci_github_put_crash(const struct mt_findings_process *p, FILE *out)
{
    const struct mt_crash *crash = &p->crash;
    const struct mt_leak_frame *site =
        mt_leak_site(crash->brief, 0, crash->n_brief);
    char *text = mt_ci_crash_text(p);

    fputs("::error ", out);
    if (site) {
        fputs("file=", out);
        ci_github_put(out, below_here(site->file), true);
        fprintf(out, ",line=%u,", site->line);
    }
    fputs("title=memtrace%3A crash::", out);
    ci_github_put(out, text ? text : "out of memory for the message", false);
    putc('\n', out);
    free(text);
}

static const struct mt_findings_process *first_crash(const struct mt_ci *ci)
{
    for (size_t i = 0; i < ci->findings->n_processes; i++)
        if (ci->findings->processes[i].crash.core)
            return &ci->findings->processes[i];
    return NULL;
}

void mt_ci_github(const struct mt_ci *ci, FILE *out)
{
    const struct mt_findings_process *crash = first_crash(ci);
    size_t n, shown, unchecked = 0, room = MAX_ANNOTATIONS;
    struct mt_failing *failing = mt_findings_failing(ci->findings, &n);

    for (size_t i = 0; i < ci->findings->n_processes; i++)
        unchecked += ci->findings->processes[i].result == MT_RESULT_NOT_CHECKED;
    room -= (unchecked > 0) + (crash != NULL);
    shown = n <= room ? n : room - 1;
    /* A command begins a line; the program may have left one unfinished. */
    if (n > 0 || unchecked > 0 || crash)
        putc('\n', out);
    if (crash)
        ci_github_put_crash(crash, out);
    for (size_t i = 0; i < shown; i++)
        put_failing(&failing[i], out);
    if (shown < n)
        fprintf(out,
                "::error title=memtrace%%3A leaks::and %zu more leaks: see the "
                "report\n",
                n - shown);
    if (unchecked > 0)
        ci_github_put_unchecked(ci, unchecked, out);
    free(failing);
}
