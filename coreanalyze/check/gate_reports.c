/* SPDX-License-Identifier: BSD-2-Clause
 *
 * gate_reports.c - the options of the gate, and what it writes.
 */
#include "coreanalyze/check/gate.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/output.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

bool mt_take_suppressions(void *member, const struct mt_args *args,
                          struct mt_error *error)
{
    struct mt_gate *gate = member;

    if (!mt_grow(&gate->files, &gate->files_capacity, gate->n_files + 1,
                 sizeof *gate->files))
        return mt_fail(error, "out of memory");
    gate->files[gate->n_files++] = args->value;
    return true;
}

/* --- beginning --- */

/* That a report cannot be written is told before a long run, not after. */
static bool can_write(const char *path, struct mt_error *error)
{
    struct mt_output output;

    if (path == NULL)
        return true;
    if (!mt_output_open(&output, path, 0666, error))
        return false;
    mt_output_close(&output, false, error);
    return true;
}

static bool read_baseline(struct mt_gate *gate, struct mt_error *error)
{
    if (gate->baseline_path == NULL)
        return !gate->update ||
               mt_fail(error, "--update-baseline needs --baseline FILE");
    if (mt_baseline_read(&gate->baseline, gate->baseline_path, error))
        return true;
    mt_baseline_free(&gate->baseline);
    if (gate->update && errno == ENOENT) {
        memset(error, 0, sizeof *error);
        return true;
    }
    return false;
}

bool mt_gate_begin(struct mt_gate *gate, struct mt_error *error)
{
    gate->wanted = gate->n_files > 0 || gate->generate || gate->github ||
                   gate->baseline_path || gate->junit || gate->valgrind ||
                   gate->log || gate->sarif;
    if (!mt_outcome_init(&gate->outcome, error))
        return false;
    for (size_t i = 0; i < gate->n_files; i++)
        if (!mt_suppressions_read(&gate->suppressions, gate->files[i], error))
            return false;
    errno = 0;
    return read_baseline(gate, error) &&
           (!gate->update || can_write(gate->baseline_path, error)) &&
           can_write(gate->junit, error) && can_write(gate->valgrind, error) &&
           can_write(gate->log, error) && can_write(gate->sarif, error);
}

bool mt_gate_own(struct mt_gate *gate, const struct mt_model *model,
                 struct mt_error *error)
{
    const char *text = model->suppressions;
    char *copy;

    if (text == NULL)
        return true;
    gate->wanted = true;
    for (size_t i = 0; i < gate->n_own; i++)
        if (strcmp(gate->own[i], text) == 0)
            return true;
    copy = strdup(text);
    if (copy == NULL || !mt_grow(&gate->own, &gate->own_capacity,
                                 gate->n_own + 1, sizeof *gate->own)) {
        free(copy);
        return mt_fail(error, "out of memory for suppressions");
    }
    gate->own[gate->n_own++] = copy;
    return mt_suppressions_parse(&gate->suppressions,
                                 "__lsan_default_suppressions", copy, error);
}

void mt_gate_free(struct mt_gate *gate)
{
    for (size_t i = 0; i < gate->n_own; i++)
        free(gate->own[i]);
    free(gate->own);
    mt_suppressions_free(&gate->suppressions);
    mt_baseline_free(&gate->baseline);
    mt_outcome_free(&gate->outcome);
    free(gate->files);
    memset(gate, 0, sizeof *gate);
}

/* --- generated suppressions --- */

/* One entry for all losses that it would match. */
static void put_generated(struct mt_suppressions *set,
                          const struct mt_loss *loss, FILE *out,
                          struct mt_json *json)
{
    struct mt_error error = {0};
    char *text = NULL;
    size_t bytes = 0;
    FILE *memory;

    if (loss->state > MT_LOSS_GROWN || loss->n_frames == 0 ||
        mt_suppress(set, loss))
        return;
    memory = open_memstream(&text, &bytes);
    if (memory == NULL)
        return;
    mt_print_suppression_of(loss, memory);
    if (fclose(memory) == 0 &&
        mt_suppressions_parse(set, "generated", text, &error)) {
        if (json)
            mt_json_string(json, NULL, text);
        else
            fputs(text, out);
    }
    free(text);
}

static void put_all_generated(const struct mt_gate *gate, FILE *out,
                              struct mt_json *json)
{
    struct mt_suppressions set = {0};

    for (size_t i = 0; i < gate->outcome.n_processes; i++) {
        const struct mt_outcome_process *p = &gate->outcome.processes[i];
        for (size_t j = 0; j < p->n_losses; j++)
            put_generated(&set, &p->losses[j], out, json);
    }
    mt_suppressions_free(&set);
}

/* --- text and JSON --- */

static uint64_t unseen(const struct mt_gate *gate)
{
    uint64_t n = 0;

    for (size_t i = 0; i < gate->baseline.n; i++)
        n += !gate->baseline.known[i].seen;
    return n;
}

void mt_gate_print(struct mt_gate *gate, FILE *out)
{
    mt_print_suppressions(&gate->suppressions, out);
    if (gate->baseline_path)
        fprintf(out,
                "  baseline: %" PRIu64 " leaks known, %" PRIu64
                " with more blocks, %" PRIu64 " new, %" PRIu64
                " no longer seen%s\n",
                gate->known, gate->grown, gate->new, unseen(gate),
                gate->update ? "; updated" : "");
    if (gate->generate)
        put_all_generated(gate, out, NULL);
}

void mt_gate_json(struct mt_gate *gate, struct mt_json *json)
{
    if (gate->n_files > 0)
        mt_json_put_suppressions(json, &gate->suppressions);
    if (gate->baseline_path) {
        mt_json_open(json, "baseline", '{');
        mt_json_string(json, "file", gate->baseline_path);
        mt_json_u64(json, "known", gate->known);
        mt_json_u64(json, "grown", gate->grown);
        mt_json_u64(json, "new", gate->new);
        mt_json_u64(json, "not_seen", unseen(gate));
        mt_json_bool(json, "updated", gate->update);
        mt_json_close(json, '}');
    }
    if (gate->generate) {
        mt_json_open(json, "generated_suppressions", '[');
        put_all_generated(gate, NULL, json);
        mt_json_close(json, ']');
    }
}

/* --- files --- */

static bool write_one(const struct mt_ci *ci, const char *path,
                      void (*write)(const struct mt_ci *, FILE *),
                      struct mt_error *error)
{
    struct mt_output output;

    if (path == NULL)
        return true;
    if (!mt_output_open(&output, path, 0666, error))
        return false;
    write(ci, output.file);
    return mt_output_close(&output, true, error);
}

static void write_valgrind(const struct mt_ci *ci, FILE *out)
{
    mt_ci_valgrind(ci, NULL, out);
}

static bool write_valgrind_files(const struct mt_ci *ci, const char *path,
                                 struct mt_error *error)
{
    bool ok = true;

    if (path == NULL || strstr(path, "%p") == NULL)
        return write_one(ci, path, write_valgrind, error);
    for (size_t i = 0; ok && i < ci->outcome->n_processes; i++) {
        const struct mt_outcome_process *p = &ci->outcome->processes[i];
        char *name = mt_output_name(path, p->pid, NULL);
        struct mt_output output;
        ok = name ? mt_output_open(&output, name, 0666, error)
                  : mt_fail(error, "out of memory");
        if (ok) {
            mt_ci_valgrind(ci, p, output.file);
            ok = mt_output_close(&output, true, error);
        }
        free(name);
    }
    return ok;
}

static bool write_baseline(struct mt_gate *gate, struct mt_error *error)
{
    struct mt_output output;
    bool keep = false, ok;

    for (size_t i = 0; i < gate->outcome.n_processes; i++)
        keep |= gate->outcome.processes[i].result == MT_CHECK_NOT_CHECKED;
    if (!mt_output_open(&output, gate->baseline_path, 0666, error))
        return false;
    ok = mt_baseline_write(&gate->baseline, keep, &gate->outcome, output.file,
                           error);
    return mt_output_close(&output, ok, error);
}

bool mt_gate_finish(struct mt_gate *gate, struct mt_ci *ci, FILE *out,
                    struct mt_error *error)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    bool ok;

    ci->outcome = &gate->outcome;
    ci->suppressions = &gate->suppressions;
    ci->has_baseline = gate->baseline_path != NULL;
    /* A limit on the size of files is an error like a full disk. */
    sigaction(SIGXFSZ, &ignore, &before);
    ok = write_one(ci, gate->junit, mt_ci_junit, error) &&
         write_valgrind_files(ci, gate->valgrind, error) &&
         write_one(ci, gate->log, mt_ci_log, error) &&
         write_one(ci, gate->sarif, mt_ci_sarif, error) &&
         (!gate->update || write_baseline(gate, error));
    if (gate->github)
        mt_ci_github(ci, out);
    sigaction(SIGXFSZ, &before, NULL);
    return ok && (!gate->outcome.out_of_memory ||
                  mt_fail(error, "out of memory for the reports"));
}
