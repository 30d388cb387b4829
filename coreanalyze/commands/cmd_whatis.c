/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_whatis.c - memtrace whatis: what is at an address.
 */
#include "coreanalyze/commands/cmd_whatis.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/reports/print.h"
#include "coreanalyze/base/text.h"

#include <inttypes.h>
#include <stdlib.h>

struct arguments {
    struct mt_arguments common;
    uint64_t *addresses;
    size_t n, capacity;
    bool verbose;
};

static const struct mt_option options[] = {
    {"--verbose", 'v', NULL, "the blocks before and after too",
     MT_FIELD(mt_parse_flag, bool, verbose)},
    MT_OPTION_JSON,
    MT_OPTION_DEBUG_DIR,
    MT_OPTION_SYSROOT,
    {0},
};

bool mt_whatis_begin(struct mt_session *session,
                     const struct mt_namer_context *places,
                     struct mt_target *target, const struct mt_roots *roots,
                     struct mt_whatis *whatis, struct mt_error *error)
{
    *whatis = (struct mt_whatis){
        .namer = {target->model,
                  mt_arguments_resolver(session, places, target->model, error),
                  roots, mt_variables_new(places->debug_dirs, places->sysroot)},
        .out = session->out};
    if (whatis->namer.resolver && whatis->namer.variables)
        return true;
    mt_whatis_end(whatis);
    return mt_fail(error, "out of memory");
}

void mt_whatis_end(struct mt_whatis *whatis)
{
    mt_resolver_free(whatis->namer.resolver);
    mt_variables_free(whatis->namer.variables);
}

/* A row of one block, for the printers of stacks. */
static struct mt_show_row cmd_whatis_row_of(const struct mt_model *model,
                                            const struct mt_block *block)
{
    return (struct mt_show_row){.heap = block->heap,
                                .stack = block->stack,
                                .oldest_epoch = block->epoch,
                                .newest_epoch = block->epoch,
                                .depth = model->stacks[block->stack].depth};
}

static void put_seconds(FILE *out, uint64_t ns)
{
    fprintf(out, "%" PRIu64 ".%03" PRIu64 " s", ns / 1000000000,
            ns / 1000000 % 1000);
}

void mt_whatis_block(const struct mt_whatis *w, const struct mt_block *block,
                     uint64_t address)
{
    struct mt_model *model = w->namer.model;
    struct mt_report report = {model, NULL, w->namer.resolver, w->out, NULL};
    struct mt_show_row row = cmd_whatis_row_of(model, block);
    bool live = mt_model_find(model, block->address, NULL) == MT_PLACE_LIVE;
    FILE *out = w->out;

    fprintf(out, "0x%" PRIx64 ": %s block of %" PRIu64 " bytes", address,
            live ? "live" : "freed", block->bytes);
    if (address != block->address)
        fprintf(out, " at 0x%" PRIx64 " + 0x%" PRIx64, block->address,
                address - block->address);
    fprintf(out, " (takes %" PRIu64 "), ", block->block_bytes);
    mt_put_text(out, model->heaps[block->heap].name);
    fprintf(out, ", span %" PRIu32, block->span);
    if (block->owner_tid) {
        const char *name = mt_model_thread_name(model, block->owner_tid);
        fprintf(out, " of thread %" PRIu32 "%s", block->owner_tid,
                name[0] ? " " : "");
        mt_put_text(out, name);
    }
    if (block->stack >= MT_ID_FIRST) {
        fputs(live ? ", allocated " : ", last allocated ", out);
        put_seconds(out, mt_model_age_ns(model, block->epoch));
        fputs(" ago by", out);
    }
    fputs("\n    ", out);
    mt_print_row_frames(&report, &row, 4);
}

void mt_whatis_json_block(struct mt_json *json, const struct mt_whatis *w,
                          const struct mt_block *block, uint64_t address)
{
    struct mt_model *model = w->namer.model;
    struct mt_report report = {model, NULL, w->namer.resolver, w->out, NULL};
    struct mt_show_row row = cmd_whatis_row_of(model, block);
    bool live = mt_model_find(model, block->address, NULL) == MT_PLACE_LIVE;

    mt_json_string(json, "state", live ? "live" : "freed");
    mt_json_address(json, "start", block->address);
    mt_json_u64(json, "offset", address - block->address);
    mt_json_u64(json, "bytes", block->bytes);
    mt_json_u64(json, "block_bytes", block->block_bytes);
    mt_json_string(json, "heap", model->heaps[block->heap].name);
    mt_json_u64(json, "heap_id", block->heap);
    mt_json_u64(json, "span", block->span);
    mt_json_u64(json, "owner_tid", block->owner_tid);
    mt_json_string(json, "owner_name",
                   mt_model_thread_name(model, block->owner_tid));
    mt_json_bool(json, "traced", block->stack >= MT_ID_FIRST);
    mt_json_seconds(json, "age_s",
                    (double)mt_model_age_ns(model, block->epoch) / 1e9);
    mt_json_put_frames(json, &report, &row);
}

static const char *place_name(enum mt_address_kind place)
{
    switch (place) {
    case MT_PLACE_UNUSED:
        return "unused memory";
    case MT_PLACE_SLACK:
        return "memory behind the last block of a span";
    case MT_PLACE_UNCERTAIN:
        return "memory whose map is damaged";
    default:
        return "memory";
    }
}

static const char *heap_at(const struct mt_model *model, uint64_t address)
{
    for (size_t i = 0; i < model->n_regions; i++)
        if (address - model->regions[i].base < model->regions[i].size)
            return model->heaps[model->regions[i].heap].name;
    return "";
}

/* The block just before or behind one; false if there is none. */
static bool cmd_whatis_neighbour(struct mt_model *model,
                                 const struct mt_block *block, bool before,
                                 struct mt_block *other)
{
    uint64_t address =
        before ? block->address - 1 : block->address + block->block_bytes;
    enum mt_address_kind place = mt_model_find(model, address, other);

    return place == MT_PLACE_LIVE || place == MT_PLACE_FREED;
}

static void cmd_whatis_put_text(const struct mt_whatis *w, uint64_t address,
                                bool verbose)
{
    struct mt_model *model = w->namer.model;
    struct mt_block block, other;
    enum mt_address_kind place = mt_model_find(model, address, &block);
    char *name;

    if (place == MT_PLACE_LIVE || place == MT_PLACE_FREED) {
        mt_whatis_block(w, &block, address);
        for (int before = 1; verbose && before >= 0; before--) {
            if (!cmd_whatis_neighbour(model, &block, before, &other))
                continue;
            fputs(before ? "  before: " : "  after: ", w->out);
            mt_whatis_block(w, &other, other.address);
        }
        return;
    }
    fprintf(w->out, "0x%" PRIx64 ": ", address);
    if (place == MT_PLACE_OUTSIDE) {
        name = mt_name_address(&w->namer, address);
        fprintf(w->out, "%s\n", name ? name : "?");
        free(name);
        return;
    }
    fprintf(w->out, "%s of heap ", place_name(place));
    mt_put_text(w->out, heap_at(model, address));
    putc('\n', w->out);
}

static void put_json_block(struct mt_json *json, const struct mt_whatis *w,
                           const char *key, const struct mt_block *block,
                           uint64_t address)
{
    mt_json_open(json, key, '{');
    mt_whatis_json_block(json, w, block, address);
    mt_json_close(json, '}');
}

static void cmd_whatis_put_json(struct mt_json *json, const struct mt_whatis *w,
                                uint64_t address, bool verbose)
{
    struct mt_model *model = w->namer.model;
    struct mt_block block, other;
    enum mt_address_kind place = mt_model_find(model, address, &block);
    char *name;

    mt_json_open(json, NULL, '{');
    mt_json_address(json, "address", address);
    if (place == MT_PLACE_LIVE || place == MT_PLACE_FREED) {
        put_json_block(json, w, "block", &block, address);
        if (verbose && cmd_whatis_neighbour(model, &block, true, &other))
            put_json_block(json, w, "before", &other, other.address);
        if (verbose && cmd_whatis_neighbour(model, &block, false, &other))
            put_json_block(json, w, "after", &other, other.address);
    } else if (place == MT_PLACE_OUTSIDE) {
        name = mt_name_address(&w->namer, address);
        mt_json_string(json, "name", name);
        free(name);
    } else {
        mt_json_string(json, "name", place_name(place));
        mt_json_string(json, "heap", heap_at(model, address));
    }
    mt_json_close(json, '}');
}

static bool cmd_whatis_take_operand(void *arguments, const struct mt_args *args,
                                    struct mt_error *error)
{
    struct arguments *a = arguments;

    if (!mt_grow(&a->addresses, &a->capacity, a->n + 1, sizeof *a->addresses))
        return mt_fail(error, "out of memory");
    return mt_parse_address(args, &a->addresses[a->n++], error);
}

/* Registers tell which frames the stacks have: a live process is stopped for
 * a moment to read them, if it may be. */
static bool open_target(struct mt_session *session, const struct arguments *a,
                        struct mt_target *target, struct mt_error *error)
{
    struct mt_error ignored;

    if (!mt_target_open(session, "whatis", a->common.target, target, error))
        return false;
    if (target->source->ops->stop &&
        target->source->ops->stop(target->source, &ignored))
        target->source->ops->resume(target->source);
    return mt_target_model(session, target, error);
}

/* What is outside of the heaps is known by mappings and symbols alone. */
static const char no_stacks[] =
    "a mini-core has no stacks and no data: of addresses in them it knows the "
    "mapping or the variable, not the thread or the frame";

static bool is_limited(const struct mt_whatis *w, const struct arguments *a)
{
    bool outside = false;

    for (size_t i = 0; i < a->n; i++)
        outside |= mt_model_find(w->namer.model, a->addresses[i], NULL) ==
                   MT_PLACE_OUTSIDE;
    return outside && w->namer.model->source->process.mini;
}

static void cmd_whatis_put_all(const struct mt_whatis *w,
                               const struct arguments *a)
{
    struct mt_json json = {.out = w->out};
    const char *note = is_limited(w, a) ? no_stacks : NULL;

    if (a->common.json) {
        mt_json_open(&json, NULL, '{');
        mt_json_u64(&json, "version", 1);
        mt_json_open(&json, "addresses", '[');
    }
    for (size_t i = 0; i < a->n; i++) {
        if (a->common.json)
            cmd_whatis_put_json(&json, w, a->addresses[i], a->verbose);
        else
            cmd_whatis_put_text(w, a->addresses[i], a->verbose);
    }
    if (a->common.json) {
        mt_json_close(&json, ']');
        mt_json_string(&json, "note", note);
        mt_json_close(&json, '}');
    } else if (note) {
        fprintf(w->out, "  note: %s\n", note);
    }
}

static int cmd_whatis_run(struct mt_session *session, int argc,
                          const char *const *argv, struct mt_error *error)
{
    const struct mt_roots_options all = {false};
    struct arguments a = {0};
    struct mt_target target = {0};
    struct mt_roots roots = {0};
    struct mt_whatis whatis;
    int status;

    if (mt_arguments_read(session, &mt_command_whatis, argc, argv, &a, &status,
                          error)) {
        status = MT_EXIT_ERROR;
        if ((a.n > 0 || mt_fail(error, "whatis: no ADDRESS")) &&
            open_target(session, &a, &target, error) &&
            mt_roots_find(target.model, &all, &roots, error) &&
            mt_whatis_begin(session, &a.common.places, &target, &roots, &whatis,
                            error)) {
            cmd_whatis_put_all(&whatis, &a);
            mt_whatis_end(&whatis);
            status = MT_EXIT_OK;
        }
    }
    mt_roots_free(&roots);
    mt_target_close(&target);
    free(a.addresses);
    return status;
}

const struct mt_command mt_command_whatis = {
    .name = "whatis",
    .operands = "TARGET ADDRESS...",
    .summary = "Show what is at addresses.",
    .details =
        "For an address in a heap: the block, live or freed, its size as it\n"
        "was asked for, its age, and the stack that allocated it (of a freed\n"
        "block: that allocated it last).  Else the variable, function, stack\n"
        "frame or mapping that the address is in.\n",
    .options = options,
    .takes_target = true,
    .operand = cmd_whatis_take_operand,
    .run = cmd_whatis_run,
};
