/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ci_sarif.c - SARIF 2.1.0: a result for each leak, those that are suppressed
 * or in the baseline too, with the state that SARIF has for them.  Processes
 * that were not checked are notifications, and make the run unsuccessful.
 */
#include "config.h"

#include "coreanalyze/ci/ci_formats.h"
#include "coreanalyze/base/json.h"
#include "coreanalyze/analyses/leak_kind.h"
#include "coreanalyze/base/text.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BASE "%SRCROOT%"

static const struct {
    const char *id, *text;
} rules[MT_N_LEAK_KINDS + 1] = {
    {"definitely-lost", "A block that nothing points to any more."},
    {"indirectly-lost", "A block that only lost blocks point to."},
    {"possibly-lost", "A block that only pointers to its inside lead to."},
    {"still-reachable", "A block that the program could still free."},
    {"crash", "A process that a fault ended."},
};

struct sarif {
    struct mt_json json;
    const struct mt_ci *ci;
    char here[PATH_MAX + 1]; /* ends in a slash; "" if not known */
};

/* --- pieces --- */

static void put_message(struct mt_json *json, const char *key, const char *text)
{
    mt_json_open(json, key, '{');
    mt_json_string(json, "text", text);
    mt_json_close(json, '}');
}

/* A path as a URI reference; the caller frees it. */
static char *uri_of(const char *prefix, const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    char *text = malloc(strlen(prefix) + 3 * strlen(path) + 1), *at = text;

    if (text == NULL)
        return NULL;
    at += sprintf(at, "%s", prefix);
    for (; *path; path++)
        at += strchr(plain, *path)
                  ? sprintf(at, "%c", *path)
                  : sprintf(at, "%%%02X", (unsigned char)*path);
    return text;
}

static void put_artifact(struct sarif *s, const char *path)
{
    struct mt_json *json = &s->json;
    size_t n = strlen(s->here);
    bool below = n > 0 && strncmp(path, s->here, n) == 0;
    char *uri = uri_of(below || path[0] != '/' ? "" : "file://",
                       below ? path + n : path);

    mt_json_open(json, "artifactLocation", '{');
    mt_json_string(json, "uri", uri ? uri : "");
    if (below)
        mt_json_string(json, "uriBaseId", BASE);
    mt_json_close(json, '}');
    free(uri);
}

static void put_location(struct sarif *s, const char *key,
                         const struct mt_leak_frame *f, bool address)
{
    struct mt_json *json = &s->json;

    mt_json_open(json, key, '{');
    mt_json_open(json, "physicalLocation", '{');
    if (f->file || f->module)
        put_artifact(s, f->file ? f->file : f->module);
    if (f->file && f->line) {
        mt_json_open(json, "region", '{');
        mt_json_u64(json, "startLine", f->line);
        mt_json_close(json, '}');
    }
    if (address || (f->file == NULL && f->module == NULL)) {
        mt_json_open(json, "address", '{');
        mt_json_u64(json, "absoluteAddress", f->pc);
        mt_json_close(json, '}');
    }
    mt_json_close(json, '}');
    if (f->function) {
        mt_json_open(json, "logicalLocations", '[');
        mt_json_open(json, NULL, '{');
        mt_json_string(json, "fullyQualifiedName", f->function);
        mt_json_string(json, "kind", "function");
        mt_json_close(json, '}');
        mt_json_close(json, ']');
    }
    mt_json_close(json, '}');
}

static void ci_sarif_put_stacks(struct sarif *s,
                                const struct mt_leak_frame *frames, size_t n)
{
    struct mt_json *json = &s->json;

    mt_json_open(json, "stacks", '[');
    mt_json_open(json, NULL, '{');
    mt_json_open(json, "frames", '[');
    for (size_t i = 0; i < n; i++) {
        mt_json_open(json, NULL, '{');
        put_location(s, "location", &frames[i], true);
        if (frames[i].module)
            mt_json_string(json, "module", frames[i].module);
        mt_json_close(json, '}');
    }
    mt_json_close(json, ']');
    mt_json_close(json, '}');
    mt_json_close(json, ']');
}

/* --- results --- */

static void put_state(struct sarif *s, const struct mt_leak *leak)
{
    struct mt_json *json = &s->json;

    if (leak->state == MT_LEAK_SUPPRESSED) {
        mt_json_open(json, "suppressions", '[');
        mt_json_open(json, NULL, '{');
        mt_json_string(json, "kind", "external");
        mt_json_string(json, "justification",
                       leak->suppression ? leak->suppression : "");
        mt_json_close(json, '}');
        mt_json_close(json, ']');
    } else if (s->ci->has_baseline) {
        mt_json_string(json, "baselineState",
                       leak->state == MT_LEAK_KNOWN   ? "unchanged"
                       : leak->state == MT_LEAK_GROWN ? "updated"
                                                      : "new");
    }
}

static void put_result(struct sarif *s, const struct mt_findings_process *p,
                       const struct mt_leak *leak)
{
    const struct mt_leak_frame *site =
        mt_leak_site(leak->frames, leak->title, leak->n_frames);
    struct mt_json *json = &s->json;
    char text[200], print[24];

    if (site == NULL && leak->n_frames > 0)
        site = &leak->frames[leak->title];
    mt_leak_title(leak, text, sizeof text);
    mt_json_open(json, NULL, '{');
    mt_json_string(json, "ruleId", rules[leak->kind].id);
    mt_json_u64(json, "ruleIndex", leak->kind);
    mt_json_string(json, "level", leak->fails ? "error" : "warning");
    put_message(json, "message", text);
    mt_json_open(json, "locations", '[');
    if (site)
        put_location(s, NULL, site, false);
    mt_json_close(json, ']');
    if (leak->n_frames > 0)
        ci_sarif_put_stacks(s, leak->frames, leak->n_frames);
    mt_json_open(json, "partialFingerprints", '{');
    snprintf(print, sizeof print, "%016" PRIx64, leak->fingerprint);
    mt_json_string(json, "memtraceStack/v1", print);
    mt_json_close(json, '}');
    put_state(s, leak);
    mt_json_open(json, "properties", '{');
    mt_json_u64(json, "pid", p->pid);
    mt_json_string(json, "command", p->command);
    mt_json_u64(json, "bytes", leak->bytes);
    mt_json_u64(json, "blocks", leak->count);
    mt_json_u64(json, "indirectBytes", leak->indirect_bytes);
    mt_json_u64(json, "indirectBlocks", leak->indirect_count);
    mt_json_close(json, '}');
    mt_json_close(json, '}');
}

static void ci_sarif_put_crash(struct sarif *s,
                               const struct mt_findings_process *p)
{
    const struct mt_crash *crash = &p->crash;
    const struct mt_leak_frame *site =
        mt_leak_site(crash->brief, 0, crash->n_brief);
    struct mt_json *json = &s->json;
    char *text = mt_ci_crash_text(p);

    if (site == NULL && crash->n_brief > 0)
        site = &crash->brief[crash->own];
    mt_json_open(json, NULL, '{');
    mt_json_string(json, "ruleId", rules[MT_N_LEAK_KINDS].id);
    mt_json_u64(json, "ruleIndex", MT_N_LEAK_KINDS);
    mt_json_string(json, "level", "error");
    put_message(json, "message", text ? text : "out of memory");
    mt_json_open(json, "locations", '[');
    if (site)
        put_location(s, NULL, site, false);
    mt_json_close(json, ']');
    if (crash->n_frames > 0)
        ci_sarif_put_stacks(s, crash->frames, crash->n_frames);
    mt_json_open(json, "properties", '{');
    mt_json_u64(json, "pid", p->pid);
    mt_json_string(json, "command", p->command);
    mt_json_u64(json, "signal", (uint64_t)crash->signal);
    mt_json_close(json, '}');
    mt_json_close(json, '}');
    free(text);
}

/* --- the run --- */

static void put_tool(struct sarif *s)
{
    struct mt_json *json = &s->json;

    mt_json_open(json, "tool", '{');
    mt_json_open(json, "driver", '{');
    mt_json_string(json, "name", "memtrace");
    mt_json_string(json, "version", PACKAGE_VERSION);
    mt_json_open(json, "rules", '[');
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        mt_json_open(json, NULL, '{');
        mt_json_string(json, "id", rules[i].id);
        put_message(json, "shortDescription", rules[i].text);
        mt_json_close(json, '}');
    }
    mt_json_close(json, ']');
    mt_json_close(json, '}');
    mt_json_close(json, '}');
}

static void put_notifications(struct sarif *s)
{
    const struct mt_findings *findings = s->ci->findings;
    struct mt_json *json = &s->json;

    mt_json_open(json, "toolExecutionNotifications", '[');
    for (size_t i = 0; i < findings->n_processes; i++) {
        const struct mt_findings_process *p = &findings->processes[i];
        char *text = NULL;
        if (p->result != MT_RESULT_NOT_CHECKED)
            continue;
        if (asprintf(&text, "process %u (%s) was not checked: %s", p->pid,
                     p->command ? p->command : "?", p->why ? p->why : "?") < 0)
            text = NULL;
        mt_json_open(json, NULL, '{');
        mt_json_string(json, "level", "error");
        put_message(json, "message", text ? text : "not checked");
        mt_json_close(json, '}');
        free(text);
    }
    mt_json_close(json, ']');
}

static void put_invocation(struct sarif *s)
{
    const struct mt_ci *ci = s->ci;
    struct mt_json *json = &s->json;
    bool checked = ci->findings->n_processes > 0;

    for (size_t i = 0; i < ci->findings->n_processes; i++)
        checked &= ci->findings->processes[i].result != MT_RESULT_NOT_CHECKED;
    mt_json_open(json, "invocations", '[');
    mt_json_open(json, NULL, '{');
    mt_json_bool(json, "executionSuccessful", checked);
    if (ci->argv) {
        mt_json_open(json, "arguments", '[');
        for (size_t i = 0; ci->argv[i]; i++)
            mt_json_string(json, NULL, ci->argv[i]);
        mt_json_close(json, ']');
    }
    if (ci->ended && WIFEXITED(ci->status))
        mt_json_u64(json, "exitCode", (uint64_t)WEXITSTATUS(ci->status));
    else if (ci->ended && WIFSIGNALED(ci->status))
        mt_json_u64(json, "exitSignalNumber", (uint64_t)WTERMSIG(ci->status));
    put_notifications(s);
    mt_json_close(json, '}');
    mt_json_close(json, ']');
}

static void put_base(struct sarif *s)
{
    char *uri = s->here[0] ? uri_of("file://", s->here) : NULL;

    if (uri) {
        mt_json_open(&s->json, "originalUriBaseIds", '{');
        mt_json_open(&s->json, BASE, '{');
        mt_json_string(&s->json, "uri", uri);
        mt_json_close(&s->json, '}');
        mt_json_close(&s->json, '}');
    }
    free(uri);
}

void mt_ci_sarif(const struct mt_ci *ci, FILE *out)
{
    struct sarif s = {.json = {.out = out}, .ci = ci};
    struct mt_json *json = &s.json;

    if (getcwd(s.here, PATH_MAX) == NULL || strcmp(s.here, "/") == 0)
        s.here[0] = '\0';
    else
        strcat(s.here, "/");
    mt_json_open(json, NULL, '{');
    mt_json_string(json, "$schema",
                   "https://json.schemastore.org/sarif-2.1.0.json");
    mt_json_string(json, "version", "2.1.0");
    mt_json_open(json, "runs", '[');
    mt_json_open(json, NULL, '{');
    put_tool(&s);
    put_invocation(&s);
    put_base(&s);
    mt_json_string(json, "columnKind", "utf16CodeUnits");
    mt_json_open(json, "results", '[');
    for (size_t i = 0; i < ci->findings->n_processes; i++) {
        const struct mt_findings_process *p = &ci->findings->processes[i];
        if (p->crash.core)
            ci_sarif_put_crash(&s, p);
        for (size_t j = 0; j < p->n_leaks; j++)
            put_result(&s, p, &p->leaks[j]);
    }
    mt_json_close(json, ']');
    mt_json_close(json, '}');
    mt_json_close(json, ']');
    mt_json_close(json, '}');
}
