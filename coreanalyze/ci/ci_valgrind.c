/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ci_valgrind.c - Valgrind's XML, protocol 4, as Memcheck writes it.
 *
 * The protocol has no word for "not checked", and a document without errors
 * reads as clean: a process that was not checked has an error of the kind
 * ClientCheck, whose text says so.
 */
#include "coreanalyze/ci/ci_formats.h"
#include "coreanalyze/analyses/leak_kind.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/base/xml.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void ci_valgrind_put_frame(const struct mt_leak_frame *f, FILE *out)
{
    static const char indent[] = "      ";

    fprintf(out, "    <frame>\n%s<ip>0x%" PRIX64 "</ip>\n", indent, f->pc);
    if (f->module)
        mt_xml_element(out, indent, "obj", f->module);
    if (f->function)
        mt_xml_element(out, indent, "fn", f->function);
    if (f->file) {
        const char *base = mt_base_name(f->file);
        if (base > f->file + 1) {
            char *dir = strndup(f->file, (size_t)(base - f->file) - 1);
            if (dir)
                mt_xml_element(out, indent, "dir", dir);
            free(dir);
        }
        mt_xml_element(out, indent, "file", base);
    }
    if (f->file && f->line)
        fprintf(out, "%s<line>%u</line>\n", indent, f->line);
    fputs("    </frame>\n", out);
}

static void put_stack(const struct mt_leak *leak, FILE *out)
{
    fputs("  <stack>\n", out);
    for (size_t i = 0; i < leak->n_frames; i++)
        ci_valgrind_put_frame(&leak->frames[i], out);
    if (leak->n_frames == 0)
        fputs("    <frame>\n      <ip>0x0</ip>\n    </frame>\n", out);
    fputs("  </stack>\n", out);
}

static void begin_error(uint64_t unique, const char *kind, FILE *out)
{
    fprintf(out,
            "<error>\n  <unique>0x%" PRIx64
            "</unique>\n  <tid>1</tid>\n  <kind>%s</kind>\n",
            unique, kind);
}

static void put_process_text(const struct mt_findings_process *p, FILE *out)
{
    fprintf(out, "  <auxwhat>process %u (", p->pid);
    mt_xml_put(out, p->command ? p->command : "?");
    fputs(")", out);
    if (p->head) {
        fputs(": ", out);
        mt_xml_put(out, p->head);
    }
    fputs("</auxwhat>\n", out);
}

static void put_losses(const struct mt_findings_process *p, uint64_t *unique,
                       FILE *out)
{
    static const char *const kinds[MT_N_LEAK_KINDS] = {
        "Leak_DefinitelyLost", "Leak_IndirectlyLost", "Leak_PossiblyLost",
        "Leak_StillReachable"};
    size_t n = 0, record = 0;

    for (size_t i = 0; i < p->n_leaks; i++)
        n += p->leaks[i].fails;
    for (size_t i = 0; i < p->n_leaks; i++) {
        const struct mt_leak *leak = &p->leaks[i];
        char title[200];
        if (!leak->fails)
            continue;
        mt_leak_title(leak, title, sizeof title);
        begin_error((*unique)++, kinds[leak->kind], out);
        fprintf(out,
                "  <xwhat>\n    <text>%s in loss record %zu of %zu</text>\n"
                "    <leakedbytes>%" PRIu64 "</leakedbytes>\n"
                "    <leakedblocks>%" PRIu64 "</leakedblocks>\n  </xwhat>\n",
                title, ++record, n, mt_leak_bytes(leak), leak->count);
        put_stack(leak, out);
        put_process_text(p, out);
        fputs("</error>\n\n", out);
    }
}

/* The protocol has no kind for it that readers know. */
static void ci_valgrind_put_crash(const struct mt_findings_process *p,
                                  uint64_t *unique, FILE *out)
{
    const struct mt_leak at = {.frames = p->crash.frames,
                               .n_frames = p->crash.n_frames};
    char title[300];

    mt_crash_title(&p->crash, title, sizeof title);
    begin_error((*unique)++, "ClientCheck", out);
    fputs("  <what>memtrace: ", out);
    mt_xml_put(out, title);
    if (p->crash.place) {
        fputs("; ", out);
        mt_xml_put(out, p->crash.place);
    }
    fputs("</what>\n", out);
    put_stack(&at, out);
    put_process_text(p, out);
    fputs("</error>\n\n", out);
}

static void ci_valgrind_put_unchecked(const struct mt_findings_process *p,
                                      uint64_t *unique, FILE *out)
{
    static const struct mt_leak none;

    begin_error((*unique)++, "ClientCheck", out);
    fputs("  <what>memtrace: not checked: ", out);
    mt_xml_put(out, p->why ? p->why : "?");
    fputs("</what>\n", out);
    put_stack(&none, out);
    put_process_text(p, out);
    fputs("</error>\n\n", out);
}

static void put_arguments(const struct mt_ci *ci,
                          const struct mt_findings_process *only, FILE *out)
{
    fprintf(out,
            "<args>\n  <vargv>\n    <exe>memtrace</exe>\n"
            "    <arg>%s</arg>\n  </vargv>\n  <argv>\n",
            strchr(ci->tool, ' ') ? strchr(ci->tool, ' ') + 1 : ci->tool);
    if (only && only->pid != ci->pid) {
        mt_xml_element(out, "    ", "exe",
                       only->exe       ? only->exe
                       : only->command ? only->command
                                       : "?");
    } else {
        bool any = ci->argv && ci->argv[0];
        mt_xml_element(out, "    ", "exe", any ? ci->argv[0] : "?");
        for (size_t i = 1; any && ci->argv[i]; i++)
            mt_xml_element(out, "    ", "arg", ci->argv[i]);
    }
    fputs("  </argv>\n</args>\n\n", out);
}

static void put_status(const char *state, FILE *out)
{
    fprintf(out,
            "<status>\n  <state>%s</state>\n"
            "  <time>00:00:00:00.000 </time>\n</status>\n\n",
            state);
}

static void put_counts(const struct mt_ci *ci, FILE *out)
{
    const struct mt_suppressions *set = ci->suppressions;

    fputs("<suppcounts>\n", out);
    for (size_t i = 0; set && i < set->n; i++) {
        if (set->all[i].rows == 0)
            continue;
        fprintf(out, "  <pair>\n    <count>%" PRIu64 "</count>\n",
                set->all[i].rows);
        mt_xml_element(out, "    ", "name", set->all[i].name);
        fputs("  </pair>\n", out);
    }
    fputs("</suppcounts>\n\n", out);
}

void mt_ci_valgrind(const struct mt_ci *ci,
                    const struct mt_findings_process *only, FILE *out)
{
    const struct mt_findings *findings = ci->findings;
    uint64_t unique = 0;

    fprintf(out,
            "<?xml version=\"1.0\"?>\n\n<valgrindoutput>\n\n"
            "<protocolversion>4</protocolversion>\n"
            "<protocoltool>memcheck</protocoltool>\n\n"
            "<preamble>\n  <line>%s, leaks at exit</line>\n</preamble>\n\n"
            "<pid>%u</pid>\n<ppid>%u</ppid>\n<tool>memcheck</tool>\n\n",
            ci->tool, only ? only->pid : ci->pid,
            only && only->pid != ci->pid ? ci->pid : (unsigned)getpid());
    put_arguments(ci, only, out);
    put_status("RUNNING", out);
    put_status("FINISHED", out);
    for (size_t i = 0; i < findings->n_processes; i++) {
        const struct mt_findings_process *p = &findings->processes[i];
        if (only && p != only)
            continue;
        if (p->crash.core)
            ci_valgrind_put_crash(p, &unique, out);
        put_losses(p, &unique, out);
        if (p->result == MT_RESULT_NOT_CHECKED)
            ci_valgrind_put_unchecked(p, &unique, out);
    }
    fputs("<errorcounts>\n", out);
    for (uint64_t i = 0; i < unique; i++)
        fprintf(out,
                "  <pair>\n    <count>1</count>\n    <unique>0x%" PRIx64
                "</unique>\n  </pair>\n",
                i);
    fputs("</errorcounts>\n\n", out);
    put_counts(ci, out);
    fputs("</valgrindoutput>\n", out);
}
