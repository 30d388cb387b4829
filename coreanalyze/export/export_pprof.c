/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_pprof.c - the profile.proto of pprof, compressed by gzip.
 *
 * In a comparison, the samples of the old side are negative and have the label
 * pprof::base, as those of `go tool pprof -diff_base` do.
 */
#include "coreanalyze/base/hash.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/table.h"
#include "coreanalyze/export/export.h"
#include "coreanalyze/export/protobuf.h"

#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define PPROF_FLUSH (256u << 10) /* bytes that are compressed at a time */
#define PPROF_LEVEL 2 /* half of the time of the default, an eighth larger */
#define MEMO_TEXTS 256u

/* Fields of profile.proto. */
enum {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE = 2,
    PROFILE_MAPPING = 3,
    PROFILE_LOCATION = 4,
    PROFILE_FUNCTION = 5,
    PROFILE_STRING = 6,
    PROFILE_TIME_NANOS = 9,
    PROFILE_DURATION_NANOS = 10,
    PROFILE_PERIOD_TYPE = 11,
    PROFILE_PERIOD = 12,
    PROFILE_COMMENT = 13,
    PROFILE_DEFAULT_SAMPLE_TYPE = 14,
};

struct pprof_writer {
    struct mt_protobuf out, message, inner;
    const char **strings;
    size_t n_strings, capacity;
    struct mt_table by_text;
    struct {
        const char *text;
        uint64_t number;
    } memo[MEMO_TEXTS]; /* by where the text is */
    uint64_t mapping_base, location_base, function_base;
    char **owned; /* texts made here */
    size_t n_owned, owned_room;
    bool failed;
    bool no_peak;                      /* without the types of the peak */
    const struct mt_export_side *side; /* that is being written */
    bool old;
    FILE *file;
    z_stream z;
};

/* Compresses what there is, if it is much or the last; false when out of
 * memory. */
static bool pprof_flush(struct pprof_writer *w, bool last)
{
    unsigned char buffer[16384];
    size_t left = w->out.n;
    int status;

    if (left < PPROF_FLUSH && !last)
        return true;
    w->z.next_in = w->out.data;
    do {
        uInt piece = left > 1u << 30 ? 1u << 30 : (uInt)left;
        if (w->z.avail_in == 0) {
            w->z.avail_in = piece;
            left -= piece;
        }
        w->z.next_out = buffer;
        w->z.avail_out = sizeof buffer;
        status = deflate(&w->z, left || !last ? Z_NO_FLUSH : Z_FINISH);
        fwrite(buffer, 1, sizeof buffer - w->z.avail_out, w->file);
    } while ((status == Z_OK || status == Z_BUF_ERROR) &&
             (last || left || w->z.avail_in || w->z.avail_out == 0));
    w->out.n = 0;
    return last ? status == Z_STREAM_END
                : status == Z_OK || status == Z_BUF_ERROR;
}

static bool pprof_match(const void *items, size_t item, const void *key)
{
    return strcmp(((const char *const *)items)[item], key) == 0;
}

static uint64_t pprof_find_string(struct pprof_writer *w, const char *text)
{
    uint64_t hash =
        mt_hash_bytes(MT_HASH_START ^ (uintptr_t)w, text, strlen(text));
    size_t i = mt_table_find(&w->by_text, hash, pprof_match, w->strings, text);

    if (i != MT_TABLE_NONE)
        return i;
    if (!mt_grow(&w->strings, &w->capacity, w->n_strings + 1,
                 sizeof *w->strings) ||
        !mt_table_add(&w->by_text, hash, w->n_strings)) {
        w->failed = true;
        return 0;
    }
    w->strings[w->n_strings] = text;
    return w->n_strings++;
}

/* The number of a text, which must outlive the writer: samples ask again for
 * the same few. */
static uint64_t pprof_string(struct pprof_writer *w, const char *text)
{
    size_t slot = ((uintptr_t)text ^ (uintptr_t)text >> 8) % MEMO_TEXTS;

    if (w->memo[slot].text != text) {
        w->memo[slot].number = pprof_find_string(w, text);
        w->memo[slot].text = text;
    }
    return w->memo[slot].number;
}

/* The same for a text that the writer is to free; NULL: memory was short. */
static uint64_t pprof_own(struct pprof_writer *w, char *text)
{
    if (text &&
        mt_grow(&w->owned, &w->owned_room, w->n_owned + 1, sizeof *w->owned)) {
        w->owned[w->n_owned++] = text;
        return pprof_string(w, text);
    }
    free(text);
    w->failed = true;
    return 0;
}

static void pprof_put_type(struct pprof_writer *w, unsigned field,
                           const char *type, const char *unit)
{
    mt_protobuf_number(&w->message, 1, pprof_string(w, type));
    mt_protobuf_number(&w->message, 2, pprof_string(w, unit));
    mt_protobuf_message(&w->out, field, &w->message);
}

static void pprof_put_module(struct pprof_writer *w,
                             const struct mt_module *module, uint64_t id)
{
    char text[65] = "";

    for (unsigned i = 0; i < module->build_id_bytes && i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", module->build_id[i]);
    mt_protobuf_number(&w->message, 1, id);
    mt_protobuf_number(&w->message, 2, module->start);
    mt_protobuf_number(&w->message, 3, module->end);
    mt_protobuf_number(&w->message, 4, 0);
    mt_protobuf_number(&w->message, 5,
                       pprof_string(w, module->path ? module->path : ""));
    mt_protobuf_number(&w->message, 6, pprof_own(w, strdup(text)));
    for (unsigned field = 7; field <= 10; field++)
        mt_protobuf_number(&w->message, field, 1); /* names are here */
    mt_protobuf_message(&w->out, PROFILE_MAPPING, &w->message);
}

static void pprof_put_function(struct pprof_writer *w,
                               const struct mt_profile_function *f, uint64_t id)
{
    mt_protobuf_number(&w->message, 1, id);
    mt_protobuf_number(&w->message, 2, pprof_string(w, f->name));
    mt_protobuf_number(&w->message, 3,
                       pprof_string(w, f->linkage ? f->linkage : f->name));
    mt_protobuf_number(&w->message, 4, pprof_string(w, f->file ? f->file : ""));
    mt_protobuf_message(&w->out, PROFILE_FUNCTION, &w->message);
}

static void pprof_put_location(struct pprof_writer *w,
                               const struct mt_profile *p, size_t index)
{
    const struct mt_profile_location *l = &p->locations[index];

    mt_protobuf_number(&w->message, 1, w->location_base + index + 1);
    if (l->module != MT_PROFILE_NONE)
        mt_protobuf_number(&w->message, 2, w->mapping_base + l->module + 1);
    /* The call: what is here is where it returns to. */
    mt_protobuf_number(&w->message, 3, l->pc ? l->pc - 1 : 0);
    for (uint32_t i = 0; i < l->n; i++) {
        const struct mt_profile_frame *frame = &p->frames[l->first + i];
        mt_protobuf_number(&w->inner, 1,
                           w->function_base + frame->function + 1);
        mt_protobuf_number(&w->inner, 2, frame->line);
        mt_protobuf_message(&w->message, 4, &w->inner);
    }
    mt_protobuf_message(&w->out, PROFILE_LOCATION, &w->message);
}

/* --- samples --- */

static void pprof_put_label(struct pprof_writer *w, const char *key,
                            uint64_t text, uint64_t number)
{
    mt_protobuf_number(&w->inner, 1, pprof_string(w, key));
    mt_protobuf_number(&w->inner, 2, text);
    mt_protobuf_number(&w->inner, 3, number);
    mt_protobuf_message(&w->message, 3, &w->inner);
}

static void pprof_put_thread(struct pprof_writer *w,
                             const struct mt_model *model, uint32_t record)
{
    const struct mt_traced_thread *thread = mt_model_thread(model, record);

    if (!thread)
        return;
    pprof_put_label(w, "thread_id", 0, thread->tid);
    pprof_put_label(w, "thread", pprof_string(w, thread->name), 0);
}

static void pprof_put_labels(struct pprof_writer *w,
                             const struct mt_profile_sample *sample)
{
    const struct mt_report *report = w->side->report;
    const struct mt_model *model = report->model;

    if (w->old)
        pprof_put_label(w, "pprof::base", pprof_string(w, "true"), 0);
    if (!sample->row)
        return;
    pprof_put_label(w, "heap",
                    pprof_string(w, model->heaps[sample->row->heap].name), 0);
    pprof_put_thread(w, model, sample->row->thread);
    if (report->kinds)
        pprof_put_label(w, "kind",
                        pprof_string(w, report->kinds[sample->row->kind]), 0);
}

/* The types of samples, in their order. */
static const struct {
    const char *name, *unit;
    enum mt_measure measure;
    bool peak;
} pprof_types[MT_N_MEASURES] = {
    {"alloc_objects", "count", MT_ALLOCS, false},
    {"alloc_space", "bytes", MT_ALLOC_BYTES, false},
    {"peak_objects", "count", MT_PEAK_BLOCKS, true},
    {"peak_space", "bytes", MT_PEAK_BYTES, true},
    {"inuse_objects", "count", MT_LIVE_BLOCKS, false},
    {"inuse_space", "bytes", MT_LIVE_BYTES, false},
};

static bool pprof_put_sample(void *context, const struct mt_profile *p,
                             const struct mt_profile_sample *sample,
                             const uint32_t *locations, size_t n)
{
    struct pprof_writer *w = context;

    (void)p;
    for (size_t i = 0; i < n; i++)
        mt_protobuf_varint(&w->inner, w->location_base + locations[i] + 1);
    mt_protobuf_message(&w->message, 1, &w->inner);
    for (unsigned i = 0; i < MT_N_MEASURES; i++) {
        uint64_t is = sample->is.of[pprof_types[i].measure];
        if (w->no_peak && pprof_types[i].peak)
            continue;
        mt_protobuf_varint(&w->inner, w->old ? -is : is);
    }
    mt_protobuf_message(&w->message, 2, &w->inner);
    pprof_put_labels(w, sample);
    mt_protobuf_message(&w->out, PROFILE_SAMPLE, &w->message);
    return !w->failed && !w->out.failed && pprof_flush(w, false);
}

/* --- the whole --- */

static bool pprof_is_program(const struct mt_model *model,
                             const struct mt_module *module)
{
    const char *exe = model->source->process.exe;

    return exe && module->path && strcmp(exe, module->path) == 0;
}

static void pprof_put_tables(struct pprof_writer *w, const struct mt_profile *p)
{
    /* pprof takes the first one for the program. */
    for (unsigned others = 0; others < 2; others++)
        for (size_t i = 0; i < p->n_modules; i++)
            if (pprof_is_program(p->model, p->modules[i]) != others)
                pprof_put_module(w, p->modules[i], w->mapping_base + i + 1);
    for (size_t i = 0; i < p->n_locations; i++)
        pprof_put_location(w, p, i);
    for (size_t i = 0; i < p->n_functions; i++)
        pprof_put_function(w, &p->functions[i], w->function_base + i + 1);
    w->mapping_base += p->n_modules;
    w->location_base += p->n_locations;
    w->function_base += p->n_functions;
}

/* Samples are written as they come, and what they point to after them. */
static bool pprof_put_side(struct pprof_writer *w,
                           const struct mt_export_side *side, bool old,
                           struct mt_profile *profile, struct mt_error *error)
{
    const struct mt_report *report = side->report;
    struct mt_profile_options options = *side->options;

    options.parts &= MT_PROFILE_UNTRACED;
    options.visit = pprof_put_sample;
    options.context = w;
    w->side = side;
    w->old = old;
    if (!mt_profile_build(report->model, report->show, report->resolver,
                          &options, profile, error))
        return false;
    pprof_put_tables(w, profile);
    return true;
}

/* What the report does not see, a comment a line. */
static void pprof_put_comments(struct pprof_writer *w,
                               const struct mt_export_side *side,
                               const char *title)
{
    struct mt_report report = *side->report;
    char *text = NULL, *line, *rest = NULL;
    size_t bytes;

    report.out = open_memstream(&text, &bytes);
    if (!report.out) {
        w->failed = true;
        return;
    }
    fprintf(report.out, "%smemtrace %s: %s\n", title, PACKAGE_VERSION,
            mt_export_command(side->report->model));
    mt_print_notes(&report, title);
    if (fclose(report.out) != 0) {
        w->failed = true;
        free(text);
        return;
    }
    for (line = strtok_r(text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest))
        mt_protobuf_number(&w->out, PROFILE_COMMENT,
                           pprof_own(w, strdup(line)));
    free(text);
}

/* What comes after the samples; texts are last. */
static void pprof_put_end(struct pprof_writer *w,
                          const struct mt_export *export)
{
    const struct mt_model *model = export->now.report->model;

    mt_protobuf_number(&w->out, PROFILE_TIME_NANOS,
                       model->start_realtime_ns + model->now_ns);
    mt_protobuf_number(&w->out, PROFILE_DURATION_NANOS, model->now_ns);
    pprof_put_type(w, PROFILE_PERIOD_TYPE, "space", "bytes");
    mt_protobuf_number(&w->out, PROFILE_PERIOD,
                       model->sample_bytes ? model->sample_bytes : 1);
    if (export->old.report)
        pprof_put_comments(w, &export->old, "old: ");
    pprof_put_comments(w, &export->now, export->old.report ? "new: " : "");
    mt_protobuf_number(&w->out, PROFILE_DEFAULT_SAMPLE_TYPE,
                       pprof_string(w, "inuse_space"));
    for (size_t i = 0; i < w->n_strings; i++)
        mt_protobuf_bytes(&w->out, PROFILE_STRING, w->strings[i],
                          strlen(w->strings[i]));
}

static bool pprof_put_profile(struct pprof_writer *w,
                              const struct mt_export *export,
                              struct mt_error *error)
{
    /* Texts are those of the profiles, until all is written. */
    struct mt_profile profiles[2] = {{0}, {0}};
    bool ok;

    pprof_string(w, "");
    for (unsigned i = 0; i < MT_N_MEASURES; i++)
        if (!w->no_peak || !pprof_types[i].peak)
            pprof_put_type(w, PROFILE_SAMPLE_TYPE, pprof_types[i].name,
                           pprof_types[i].unit);
    ok = (!export->old.report ||
          pprof_put_side(w, &export->old, true, &profiles[0], error)) &&
         pprof_put_side(w, &export->now, false, &profiles[1], error);
    if (ok) {
        pprof_put_end(w, export);
        ok = (!w->failed && !w->out.failed && pprof_flush(w, true)) ||
             mt_no_memory(error, "the profile");
    }
    for (unsigned i = 0; i < 2; i++)
        mt_profile_free(&profiles[i]);
    return ok;
}

bool mt_export_pprof(const struct mt_export *export, struct mt_error *error)
{
    struct pprof_writer w = {.no_peak = export->no_peak, .file = export->out};
    bool ok = deflateInit2(&w.z, PPROF_LEVEL, Z_DEFLATED, 15 + 16, 8,
                           Z_DEFAULT_STRATEGY) == Z_OK;

    if (!ok)
        return mt_no_memory(error, "the profile");
    ok = pprof_put_profile(&w, export, error);
    deflateEnd(&w.z);
    mt_protobuf_free(&w.out);
    mt_protobuf_free(&w.message);
    mt_protobuf_free(&w.inner);
    for (size_t i = 0; i < w.n_owned; i++)
        free(w.owned[i]);
    free(w.owned);
    free(w.strings);
    mt_table_free(&w.by_text);
    return ok;
}
