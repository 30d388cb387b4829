/* SPDX-License-Identifier: BSD-2-Clause
 *
 * findings.c - what a run of check or leaks found, process by process, as the
 * CI formats print it.
 */
#include "coreanalyze/ci/findings.h"
#include "coreanalyze/analyses/leak_kind.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/string_set.h"
#include "coreanalyze/base/text.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool mt_findings_init(struct mt_findings *findings, struct mt_error *error)
{
    memset(findings, 0, sizeof *findings);
    findings->strings = mt_strings_new();
    return findings->strings || mt_no_memory(error, "the findings");
}

void mt_findings_free(struct mt_findings *findings)
{
    for (size_t i = 0; i < findings->n_processes; i++) {
        struct mt_findings_process *p = &findings->processes[i];
        for (size_t j = 0; j < p->n_leaks; j++)
            free(p->leaks[j].frames);
        free(p->crash.frames);
        free(p->crash.brief);
        free(p->leaks);
    }
    free(findings->processes);
    mt_strings_free(findings->strings);
    memset(findings, 0, sizeof *findings);
}

const char *mt_findings_text(struct mt_findings *findings, const char *text)
{
    const char *copy = text ? mt_strings_keep(findings->strings, text) : NULL;

    findings->out_of_memory |= text && copy == NULL;
    return copy;
}

struct mt_findings_process *mt_findings_add(struct mt_findings *findings)
{
    if (!mt_grow(&findings->processes, &findings->capacity,
                 findings->n_processes + 1, sizeof *findings->processes)) {
        findings->out_of_memory = true;
        return NULL;
    }
    return &findings->processes[findings->n_processes++];
}

uint64_t mt_leak_bytes(const struct mt_leak *leak)
{
    return leak->bytes + leak->indirect_bytes;
}

static int by_importance(const void *a, const void *b)
{
    const struct mt_failing *x = a, *y = b;
    uint64_t x_bytes = mt_leak_bytes(x->leak), y_bytes = mt_leak_bytes(y->leak);

    if (x->leak->kind != y->leak->kind)
        return x->leak->kind < y->leak->kind ? -1 : 1;
    if (x_bytes != y_bytes)
        return x_bytes > y_bytes ? -1 : 1;
    if (x->process != y->process)
        return x->process < y->process ? -1 : 1;
    return x->leak < y->leak ? -1 : x->leak > y->leak;
}

struct mt_failing *mt_findings_failing(struct mt_findings *findings, size_t *n)
{
    struct mt_failing *failing = NULL;
    size_t capacity = 0;

    *n = 0;
    for (size_t i = 0; i < findings->n_processes; i++) {
        const struct mt_findings_process *p = &findings->processes[i];
        for (size_t j = 0; j < p->n_leaks; j++) {
            if (!p->leaks[j].fails)
                continue;
            if (!mt_grow(&failing, &capacity, *n + 1, sizeof *failing)) {
                findings->out_of_memory = true;
                break;
            }
            failing[(*n)++] = (struct mt_failing){p, &p->leaks[j]};
        }
    }
    if (*n > 0)
        qsort(failing, *n, sizeof *failing, by_importance);
    return failing;
}

static bool of_the_system(const char *path)
{
    return strncmp(path, "/usr/", 5) == 0 || strncmp(path, "/lib", 4) == 0 ||
           path[0] != '/';
}

const struct mt_leak_frame *mt_leak_site(const struct mt_leak_frame *frames,
                                         size_t first, size_t n)
{
    const struct mt_leak_frame *any = NULL;

    for (size_t i = first; i < n; i++) {
        const struct mt_leak_frame *f = &frames[i];
        if (f->file == NULL || f->line == 0)
            continue;
        /* Debug packages name sources by paths that are nowhere. */
        if (!of_the_system(f->file) && !(f->module && of_the_system(f->module)))
            return f;
        if (any == NULL)
            any = f;
    }
    return any;
}

/* --- crashes --- */

static const struct {
    int signal;
    bool fault;
    const char *name;
} signal_names[] = {
    {SIGSEGV, true, "SIGSEGV"},  {SIGBUS, true, "SIGBUS"},
    {SIGABRT, true, "SIGABRT"},  {SIGFPE, true, "SIGFPE"},
    {SIGILL, true, "SIGILL"},    {SIGTRAP, true, "SIGTRAP"},
    {SIGSYS, true, "SIGSYS"},    {SIGQUIT, false, "SIGQUIT"},
    {SIGTERM, false, "SIGTERM"}, {SIGKILL, false, "SIGKILL"},
    {SIGINT, false, "SIGINT"},   {SIGHUP, false, "SIGHUP"},
    {SIGPIPE, false, "SIGPIPE"}, {SIGALRM, false, "SIGALRM"},
    {SIGUSR1, false, "SIGUSR1"}, {SIGUSR2, false, "SIGUSR2"},
    {SIGXCPU, false, "SIGXCPU"}, {SIGXFSZ, false, "SIGXFSZ"},
};

bool mt_crash_is_fault(int signal)
{
    for (size_t i = 0; i < sizeof signal_names / sizeof *signal_names; i++)
        if (signal_names[i].signal == signal)
            return signal_names[i].fault;
    return false;
}

void mt_crash_title(const struct mt_crash *crash, char *text, size_t bytes)
{
    FILE *out = fmemopen(text, bytes, "w");

    text[0] = '\0';
    if (!out)
        return;
    fprintf(out, "%s signal %d", crash->core ? "crashed:" : "ended by",
            crash->signal);
    for (size_t i = 0; i < sizeof signal_names / sizeof *signal_names; i++)
        if (signal_names[i].signal == crash->signal)
            fprintf(out, " (%s)", signal_names[i].name);
    if (crash->cause)
        fprintf(out, ": %s", crash->cause);
    if (crash->has_address)
        fprintf(out, "%s 0x%" PRIx64, crash->cause ? "" : ": address",
                crash->address);
    if (crash->tid)
        fprintf(out, ", in thread %" PRIu32, crash->tid);
    if (crash->tid && crash->thread) {
        fputs(" (", out);
        mt_put_text(out, crash->thread);
        putc(')', out);
    }
    fclose(out);
    text[bytes - 1] = '\0';
}

void mt_leak_title(const struct mt_leak *leak, char *text, size_t bytes)
{
    const char *title = mt_leak_kind_titles[leak->kind];

    if (leak->indirect_count > 0)
        snprintf(text, bytes,
                 "%" PRIu64 " (%" PRIu64 " direct, %" PRIu64
                 " indirect) bytes in %" PRIu64 " blocks are %s",
                 mt_leak_bytes(leak), leak->bytes, leak->indirect_bytes,
                 leak->count, title);
    else
        snprintf(text, bytes, "%" PRIu64 " bytes in %" PRIu64 " blocks are %s",
                 leak->bytes, leak->count, title);
}
