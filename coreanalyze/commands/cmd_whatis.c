/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_whatis.c - memtrace whatis: what is at an address.
 */
#include "coreanalyze/commands/arguments.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/reports/print_block.h"
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
    MT_OPTIONS_STYLE,
    MT_OPTION_JSON,
    MT_OPTION_DEBUG_DIR,
    MT_OPTION_SYSROOT,
    MT_OPTION_COREDUMP,
    {0},
};

static const char *place_name(enum mt_address_kind place)
{
    switch (place) {
    case MT_PLACE_UNUSED:
        return "unused memory";
    case MT_PLACE_SLACK:
        return "unused space after the last block of a span";
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

/* The block just before or after one; false if there is none. */
static bool cmd_whatis_neighbour(struct mt_model *model,
                                 const struct mt_block *block, bool before,
                                 struct mt_block *other)
{
    uint64_t address =
        before ? block->address - 1 : block->address + block->block_bytes;
    enum mt_address_kind place = mt_model_find(model, address, other);

    return place == MT_PLACE_LIVE || place == MT_PLACE_FREED;
}

static void cmd_whatis_put_text(const struct mt_block_printer *w,
                                uint64_t address, bool verbose)
{
    struct mt_model *model = w->namer.model;
    struct mt_block block, other;
    enum mt_address_kind place = mt_model_find(model, address, &block);
    char *name;

    if (place == MT_PLACE_LIVE || place == MT_PLACE_FREED) {
        mt_print_block(w, "", &block, address);
        for (int before = 1; verbose && before >= 0; before--) {
            if (!cmd_whatis_neighbour(model, &block, before, &other))
                continue;
            mt_print_block(w, before ? "  before: " : "  after: ", &other,
                           other.address);
        }
        return;
    }
    fprintf(w->out, "0x%" PRIx64 ": ", address);
    if (place == MT_PLACE_OUTSIDE) {
        name = mt_name_address(&w->namer, address);
        if (!name)
            mt_resolver_lacks(w->namer.resolver);
        fprintf(w->out, "%s\n", name ? name : "?");
        free(name);
        return;
    }
    fprintf(w->out, "%s of heap ", place_name(place));
    mt_put_text(w->out, heap_at(model, address));
    putc('\n', w->out);
}

static void put_json_block(struct mt_json *json,
                           const struct mt_block_printer *w, const char *key,
                           const struct mt_block *block, uint64_t address)
{
    mt_json_open(json, key, '{');
    mt_json_put_block(json, w, block, address);
    mt_json_close(json, '}');
}

static void cmd_whatis_put_json(struct mt_json *json,
                                const struct mt_block_printer *w,
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
        return mt_no_memory(error, "the addresses");
    return mt_parse_address(args, &a->addresses[a->n++], error);
}

/* Registers are needed to find the frames of the stacks.  To read them a live
 * process is stopped for a moment, if that is allowed. */
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

/* Memory outside of the heaps is known by mappings and symbols alone. */
static const char no_stacks[] =
    "a mini-core has no stacks and no data: of addresses in them it knows the "
    "mapping or the variable, not the thread or the frame";

static bool is_limited(const struct mt_block_printer *w,
                       const struct arguments *a)
{
    bool outside = false;

    for (size_t i = 0; i < a->n; i++)
        outside |= mt_model_find(w->namer.model, a->addresses[i], NULL) ==
                   MT_PLACE_OUTSIDE;
    return outside && w->namer.model->source->process.mini;
}

static void cmd_whatis_put_all(const struct mt_block_printer *w,
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
    struct mt_block_printer printer;
    struct mt_style style;
    struct mt_resolver_options names =
        mt_arguments_names(session, &a.common.places);
    int status;

    if (mt_arguments_read(session, &mt_command_whatis, argc, argv, &a, &status,
                          error)) {
        status = MT_EXIT_ERROR;
        if ((a.n > 0 || mt_missing("whatis", "ADDRESS", error)) &&
            mt_session_style(session, &a.common.style, &style, error) &&
            open_target(session, &a, &target, error) &&
            mt_roots_find(target.model, &all, &roots, error) &&
            mt_block_printer_begin(&printer, target.model, &roots, &names,
                                   &style, session->out, error)) {
            cmd_whatis_put_all(&printer, &a);
            if (mt_block_printer_end(&printer, error))
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
        "block: that allocated it last).  For any other address: the\n"
        "variable, function, stack frame or mapping that it is in.\n",
    .options = options,
    .takes_target = true,
    .operand = cmd_whatis_take_operand,
    .run = cmd_whatis_run,
};
