/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ci_text.c - pieces that the writers share; the log that CTest reads.
 */
#include "coreanalyze/ci/ci_formats.h"
#include "coreanalyze/base/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/wait.h>

#define MAX_CRASH_FRAMES 32u /* of a text */

void mt_ci_end_text(int status, char *text, size_t bytes)
{
    if (WIFSIGNALED(status))
        snprintf(text, bytes, "ended by signal %d", WTERMSIG(status));
    else
        snprintf(text, bytes, "exited with status %d", WEXITSTATUS(status));
}

void mt_ci_frame_text(const struct mt_leak_frame *f, FILE *out)
{
    if (f->function)
        mt_put_text(out, f->function);
    else if (f->module == NULL)
        fprintf(out, "0x%" PRIx64, f->pc);
    if (f->file && f->line) {
        fputs(f->function ? " (" : "(", out);
        mt_put_text(out, mt_base_name(f->file));
        fprintf(out, ":%u)", f->line);
    } else if (f->module) {
        fputs(f->function ? " (in " : "(in ", out);
        mt_put_text(out, f->module);
        fprintf(out, " + 0x%" PRIx64 ")", f->module_offset);
    }
}

void mt_ci_leak_stack(const struct mt_leak *leak, const char *indent,
                      size_t max, FILE *out)
{
    for (size_t i = leak->title; i < leak->end; i++) {
        if (i - leak->title == max) {
            fprintf(out, "%sand %zu more frames", indent, leak->end - i);
            break;
        }
        fprintf(out, "%s%s ", indent, i == leak->title ? "at" : "by");
        mt_ci_frame_text(&leak->frames[i], out);
        if (i == leak->title && leak->called) {
            fputs(" [", out);
            mt_put_text(out, leak->called);
            putc(']', out);
        }
    }
}

char *mt_ci_crash_text(const struct mt_findings_process *p)
{
    const struct mt_crash *crash = &p->crash;
    char *text = NULL, title[300];
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);

    if (out == NULL)
        return NULL;
    mt_crash_title(crash, title, sizeof title);
    fprintf(out, "process %u (", p->pid);
    mt_put_text(out, p->command ? p->command : "?");
    fprintf(out, ") %s", title);
    if (crash->place)
        fprintf(out, "\n%s", crash->place);
    for (size_t i = 0; i < crash->n_brief && i < MAX_CRASH_FRAMES; i++) {
        fputs(i == 0 ? "\n  at " : "\n  by ", out);
        mt_ci_frame_text(&crash->brief[i], out);
    }
    if (crash->n_brief > MAX_CRASH_FRAMES)
        fprintf(out, "\n  and %zu more frames",
                crash->n_brief - MAX_CRASH_FRAMES);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* Writes a signal that ends the program as Memcheck's log does. */
static void ci_text_put_crash(const struct mt_findings_process *p, FILE *out)
{
    char title[300];

    mt_crash_title(&p->crash, title, sizeof title);
    fprintf(out, "==%u== Process terminating: %s\n", p->pid, title);
    if (p->crash.place)
        fprintf(out, "==%u==  %s\n", p->pid, p->crash.place);
    for (size_t i = 0; i < p->crash.n_frames; i++) {
        const struct mt_leak_frame *f = &p->crash.frames[i];
        fprintf(out, "==%u==    %s 0x%" PRIX64 ": ", p->pid,
                i == 0 ? "at" : "by", f->pc);
        mt_ci_frame_text(f, out);
        putc('\n', out);
    }
}

static void ci_text_put_leak(const struct mt_findings_process *p,
                             const struct mt_leak *leak, size_t record,
                             size_t n, FILE *out)
{
    char title[200];

    mt_leak_title(leak, title, sizeof title);
    fprintf(out, "==%u== %s in loss record %zu of %zu\n", p->pid, title, record,
            n);
    for (size_t i = 0; i < leak->n_frames; i++) {
        const struct mt_leak_frame *f = &leak->frames[i];
        fprintf(out, "==%u==    %s 0x%" PRIX64 ": ", p->pid,
                i == 0 ? "at" : "by", f->pc);
        mt_ci_frame_text(f, out);
        putc('\n', out);
    }
    fprintf(out, "==%u== \n", p->pid);
}

void mt_ci_log(const struct mt_ci *ci, FILE *out)
{
    for (size_t i = 0; i < ci->findings->n_processes; i++) {
        const struct mt_findings_process *p = &ci->findings->processes[i];
        size_t n = 0, record = 0;
        for (size_t j = 0; j < p->n_leaks; j++)
            n += p->leaks[j].fails;
        fprintf(out, "==%u== %s: process %u (", p->pid, ci->tool, p->pid);
        mt_put_text(out, p->command ? p->command : "?");
        fprintf(out, "): %s", mt_result_names[p->result]);
        if (p->why) {
            fputs(" (", out);
            mt_put_text(out, p->why);
            putc(')', out);
        }
        putc('\n', out);
        if (p->crash.signal)
            ci_text_put_crash(p, out);
        for (size_t j = 0; j < p->n_leaks; j++)
            if (p->leaks[j].fails)
                ci_text_put_leak(p, &p->leaks[j], ++record, n, out);
    }
}
