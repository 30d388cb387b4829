/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ci_junit.c - JUnit's XML: a test case for the heap of every process, which
 * fails if it leaks and is in error if it was not checked; and one for how the
 * program ended.  Names are the same from run to run: without process ids.
 */
#include "coreanalyze/ci/ci_formats.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/base/xml.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void ci_junit_put_leak(const struct mt_leak *leak, FILE *out)
{
    char title[200];

    mt_leak_title(leak, title, sizeof title);
    fputs(title, out);
    if (leak->n_frames == 0)
        fputs("\n    allocated untraced", out);
    mt_ci_leak_stack(leak, "\n    ", SIZE_MAX, out);
    putc('\n', out);
}

/* The leaks as one text; the caller frees it. */
static char *losses_text(const struct mt_findings_process *p)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);

    if (out == NULL)
        return NULL;
    fprintf(out, "process %u", p->pid);
    if (p->head)
        fprintf(out, ": %s", p->head);
    putc('\n', out);
    for (size_t i = 0; i < p->n_leaks; i++)
        if (p->leaks[i].fails)
            ci_junit_put_leak(&p->leaks[i], out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* How many processes before this one have its command. */
static size_t same_before(const struct mt_findings *findings, size_t index)
{
    const char *command = findings->processes[index].command;
    size_t n = 0;

    for (size_t i = 0; i < index; i++)
        n += findings->processes[i].command == command;
    return n;
}

static void ci_junit_put_process(const struct mt_ci *ci, size_t index,
                                 FILE *out)
{
    const struct mt_findings_process *p = &ci->findings->processes[index];
    size_t same = same_before(ci->findings, index);
    char *text;

    fprintf(out, "    <testcase classname=\"memtrace\" name=\"heap of ");
    mt_xml_put(out, p->command ? p->command : "a process");
    if (same > 0)
        fprintf(out, " #%zu", same + 1);
    fputs("\" time=\"0\"", out);
    if (p->result == MT_RESULT_PASSED) {
        fputs("/>\n", out);
        return;
    }
    fputs(">\n", out);
    text = losses_text(p);
    if (p->result == MT_RESULT_LEAKS) {
        fputs("      <failure type=\"leaks\" message=\"", out);
        mt_put_count(out, "%s byte{|s} in ", p->failing_bytes);
        mt_put_count(out, "%s block{|s} leak\">", p->failing_count);
    } else {
        fputs("      <error type=\"not checked\" message=\"", out);
        mt_xml_put(out, p->why ? p->why : "not checked");
        fputs("\">", out);
    }
    if (text)
        mt_xml_put(out, text);
    fputs(p->result == MT_RESULT_LEAKS ? "</failure>\n" : "</error>\n", out);
    free(text);
    fputs("    </testcase>\n", out);
}

static bool is_program(const struct mt_ci *ci,
                       const struct mt_findings_process *p)
{
    return ci->ended && p->pid == ci->pid && p->ended &&
           p->status == ci->status;
}

/* A case of its own: a child's, or where the program's end is not told. */
static bool has_own_crash(const struct mt_ci *ci,
                          const struct mt_findings_process *p)
{
    return p->crash.core && !is_program(ci, p);
}

/* A crash of a child; the program's is in the case of its exit status. */
static void ci_junit_put_crash(const struct mt_ci *ci, size_t index, FILE *out)
{
    const struct mt_findings_process *p = &ci->findings->processes[index];
    size_t same = same_before(ci->findings, index);
    char *text = mt_ci_crash_text(p), title[300];

    mt_crash_title(&p->crash, title, sizeof title);
    fprintf(out, "    <testcase classname=\"memtrace\" name=\"end of ");
    mt_xml_put(out, p->command ? p->command : "a process");
    if (same > 0)
        fprintf(out, " #%zu", same + 1);
    fputs("\" time=\"0\">\n      <failure type=\"crash\" message=\"", out);
    mt_xml_put(out, title);
    fputs("\">", out);
    mt_xml_put(out, text ? text : "out of memory");
    fputs("</failure>\n    </testcase>\n", out);
    free(text);
}

static const struct mt_findings_process *
crash_of_program(const struct mt_ci *ci)
{
    for (size_t i = 0; i < ci->findings->n_processes; i++)
        if (is_program(ci, &ci->findings->processes[i]) &&
            ci->findings->processes[i].crash.core)
            return &ci->findings->processes[i];
    return NULL;
}

static void ci_junit_put_end(const struct mt_ci *ci, FILE *out)
{
    const struct mt_findings_process *crash = crash_of_program(ci);
    char text[300], *stack;

    fputs("    <testcase classname=\"memtrace\" name=\"exit status of ", out);
    for (size_t i = 0; ci->argv && ci->argv[i]; i++) {
        if (i > 0)
            putc(' ', out);
        mt_xml_put(out, ci->argv[i]);
    }
    fputs("\" time=\"0\"", out);
    if (ci->status == 0) {
        fputs("/>\n", out);
        return;
    }
    if (crash) {
        mt_crash_title(&crash->crash, text, sizeof text);
        stack = mt_ci_crash_text(crash);
        fputs(">\n      <failure type=\"crash\" message=\"the program ", out);
        mt_xml_put(out, text);
        fputs("\">", out);
        mt_xml_put(out, stack ? stack : "out of memory");
        fputs("</failure>\n    </testcase>\n", out);
        free(stack);
        return;
    }
    mt_ci_end_text(ci->status, text, sizeof text);
    fprintf(
        out,
        ">\n      <failure type=\"exit status\" message=\"the program %s\"/>"
        "\n    </testcase>\n",
        text);
}

void mt_ci_junit(const struct mt_ci *ci, FILE *out)
{
    const struct mt_findings *findings = ci->findings;
    size_t tests = findings->n_processes + ci->ended, failures = 0, errors = 0;
    size_t crashes = 0;

    for (size_t i = 0; i < findings->n_processes; i++) {
        failures += findings->processes[i].result == MT_RESULT_LEAKS;
        errors += findings->processes[i].result == MT_RESULT_NOT_CHECKED;
        crashes += has_own_crash(ci, &findings->processes[i]);
    }
    failures += crashes + (ci->ended && ci->status != 0);
    tests += crashes;
    fprintf(out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<testsuites>\n"
            "  <testsuite name=\"%s\" tests=\"%zu\" failures=\"%zu\" "
            "errors=\"%zu\" skipped=\"0\" time=\"0\">\n",
            ci->tool, tests, failures, errors);
    for (size_t i = 0; i < findings->n_processes; i++) {
        ci_junit_put_process(ci, i, out);
        if (has_own_crash(ci, &findings->processes[i]))
            ci_junit_put_crash(ci, i, out);
    }
    if (ci->ended)
        ci_junit_put_end(ci, out);
    fputs("  </testsuite>\n</testsuites>\n", out);
}
