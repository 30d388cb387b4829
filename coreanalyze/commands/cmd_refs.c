/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_refs.c - memtrace refs: who holds a block.
 */
#include "coreanalyze/commands/search_options.h"
#include "coreanalyze/analyses/refs.h"
#include "coreanalyze/base/json.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/reports/print_block.h"
#include "coreanalyze/reports/print_rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    struct mt_arguments common;
    struct mt_refs_options refs;
    uint64_t address;
    bool has_address, no_stop;
};

static const struct mt_option options[] = {
    {"--top", 'n', "N", "list N holders (default: 20; 0: all)",
     MT_FIELD(mt_parse_count, uint64_t, refs.max_holders)},
    MT_OPTION_HEURISTICS(refs.mark.scan.heuristics),
    MT_OPTION_TAG_BITS(refs.mark.scan),
    MT_OPTION_NO_STOP,
    MT_OPTION_STOP_TIMEOUT,
    MT_OPTION_READ_SWAPPED,
    MT_OPTIONS_STYLE,
    MT_OPTION_JSON,
    MT_OPTION_DEBUG_DIR,
    MT_OPTION_SYSROOT,
    MT_OPTION_COREDUMP,
    {0},
};

static bool cmd_refs_take_operand(void *arguments, const struct mt_args *args,
                                  struct mt_error *error)
{
    struct arguments *a = arguments;

    if (a->has_address)
        return mt_unexpected("refs", args->value, error);
    a->has_address = true;
    return mt_parse_address(args, &a->address, error);
}

/* Prints the place of a pointer: a root by name, or a block. */
static char *name_ref(const struct mt_namer *namer, const struct mt_ref *ref)
{
    if (ref->at == 0 && !ref->from_block)
        return mt_name_word(namer, &namer->roots->words[ref->word]);
    return mt_name_address(namer, ref->at);
}

static void put_block(const struct mt_block_printer *w, uint32_t span,
                      uint32_t index, uint64_t address)
{
    struct mt_block block;

    if (mt_model_block(w->namer.model, span, index, &block))
        mt_print_block(w, "", &block, address);
    else
        fputs("mapping\n", w->out);
}

static void put_ref(const struct mt_block_printer *w, const struct mt_ref *ref)
{
    const struct mt_report line = {w->namer.model, NULL, w->namer.resolver,
                                   w->out,         NULL, w->style};
    char *name;
    int column = 0;

    if (ref->from_block) {
        put_block(w, ref->span, ref->index, ref->at);
    } else {
        name = name_ref(&w->namer, ref);
        if (ref->at)
            column = fprintf(w->out, "0x%" PRIx64 ": ", ref->at);
        if (!name)
            mt_resolver_lacks(w->namer.resolver);
        mt_put_in_line(&line, name ? name : "?", column);
        putc('\n', w->out);
        free(name);
    }
}

static void cmd_refs_put_text(const struct mt_block_printer *w,
                              const struct mt_refs *refs, uint64_t address)
{
    FILE *out = w->out;

    put_block(w, refs->target.span, refs->target.index, address);
    if (refs->n_chain == 0)
        fputs("\nNo chain of pointers from a root leads here.\n", out);
    else
        mt_put_count(out, "\nShortest chain from a root, %s pointer{|s}:\n",
                     refs->n_chain);
    for (size_t i = 0; i < refs->n_chain; i++) {
        put_ref(w, &refs->chain[i]);
        if (refs->chain[i].offset == 0)
            fputs("  points to the start of\n", out);
        else
            fprintf(out, "  points to + 0x%" PRIx64 " of\n",
                    refs->chain[i].offset);
    }
    if (refs->n_chain > 0)
        put_block(w, refs->target.span, refs->target.index, address);
    mt_put_count(out, "\nHeld by %s pointer{|s}", refs->n_all_holders);
    if (refs->n_holders < refs->n_all_holders)
        fprintf(out, ", %zu of them listed", refs->n_holders);
    fputs(refs->n_holders ? ":\n" : "\n", out);
    for (size_t i = 0; i < refs->n_holders; i++)
        put_ref(w, &refs->holders[i]);
    if (refs->missing_bytes)
        mt_put_count(out,
                     "  note: %s byte{|s} could not be read: there may be "
                     "more\n",
                     refs->missing_bytes);
    if (refs->roots.coverage.missing_bytes)
        mt_put_count(out,
                     "  note: %s byte{|s} of writable memory {is|are} not in "
                     "the core: there may be more\n",
                     refs->roots.coverage.missing_bytes);
}

static void put_json_ref(struct mt_json *json, const struct mt_block_printer *w,
                         const struct mt_ref *ref)
{
    struct mt_block block;
    char *name;

    mt_json_open(json, NULL, '{');
    mt_json_string(json, "from", ref->from_block ? "block" : "root");
    if (ref->from_block &&
        mt_model_block(w->namer.model, ref->span, ref->index, &block)) {
        mt_json_open(json, "block", '{');
        mt_json_put_block(json, w, &block, ref->at);
        mt_json_close(json, '}');
    } else {
        name = name_ref(&w->namer, ref);
        mt_json_string(json, "root", name);
        free(name);
    }
    if (ref->at)
        mt_json_address(json, "at", ref->at);
    mt_json_u64(json, "to_offset", ref->offset);
    mt_json_bool(json, "to_start", ref->start);
    mt_json_close(json, '}');
}

static void cmd_refs_put_json(const struct mt_block_printer *w,
                              const struct mt_refs *refs, uint64_t address)
{
    struct mt_json json = {.out = w->out};
    struct mt_block block;

    mt_json_open(&json, NULL, '{');
    mt_json_u64(&json, "version", 1);
    mt_json_open(&json, "block", '{');
    if (mt_model_block(w->namer.model, refs->target.span, refs->target.index,
                       &block))
        mt_json_put_block(&json, w, &block, address);
    mt_json_close(&json, '}');
    mt_json_bool(&json, "reached", refs->n_chain > 0);
    mt_json_open(&json, "chain", '[');
    for (size_t i = 0; i < refs->n_chain; i++)
        put_json_ref(&json, w, &refs->chain[i]);
    mt_json_close(&json, ']');
    mt_json_u64(&json, "n_holders", refs->n_all_holders);
    mt_json_open(&json, "holders", '[');
    for (size_t i = 0; i < refs->n_holders; i++)
        put_json_ref(&json, w, &refs->holders[i]);
    mt_json_close(&json, ']');
    mt_json_u64(&json, "unreadable_bytes", refs->missing_bytes);
    mt_json_u64(&json, "missing_root_bytes",
                refs->roots.coverage.missing_bytes);
    mt_json_close(&json, '}');
}

static bool cmd_refs_search_and_print(struct mt_session *session,
                                      const struct arguments *a,
                                      struct mt_target *target,
                                      struct mt_error *error)
{
    struct mt_refs refs;
    struct mt_resolver_options names =
        mt_arguments_names(session, &a->common.places);
    struct mt_block_printer w;
    struct mt_style style;
    bool ok = mt_session_style(session, &a->common.style, &style, error) &&
              mt_refs_run(target->model, a->address, &a->refs, &refs, error);

    if (ok && !refs.live)
        ok = mt_fail(error,
                     "refs: 0x%" PRIx64 " is not in a live block (see whatis)",
                     a->address);
    if (ok)
        ok = mt_block_printer_begin(&w, target->model, &refs.roots, &names,
                                    &style, session->out, error);
    if (ok) {
        if (a->common.json)
            cmd_refs_put_json(&w, &refs, a->address);
        else
            cmd_refs_put_text(&w, &refs, a->address);
        ok = mt_block_printer_end(&w, error);
    }
    mt_refs_free(&refs);
    return ok;
}

static int cmd_refs_run(struct mt_session *session, int argc,
                        const char *const *argv, struct mt_error *error)
{
    struct arguments a = {.refs.max_holders = 20};
    struct mt_target target = {0};
    int status;
    bool ok;

    mt_mark_defaults(session, &a.refs.mark);
    if (!mt_arguments_read(session, &mt_command_refs, argc, argv, &a, &status,
                           error))
        return status;
    ok = (a.has_address || mt_missing("refs", "ADDRESS", error)) &&
         mt_target_captured(session, "refs", a.common.target, !a.no_stop,
                            &a.refs.mark.scan, &target, error) &&
         cmd_refs_search_and_print(session, &a, &target, error);
    mt_target_close(&target);
    return ok ? MT_EXIT_OK : MT_EXIT_ERROR;
}

const struct mt_command mt_command_refs = {
    .name = "refs",
    .operands = "TARGET ADDRESS",
    .summary = "Show who holds the block at an address.",
    .details =
        "Every pointer to the block is listed, in roots (registers, stacks,\n"
        "thread-local storage, writable data and mappings) and in live\n"
        "blocks; and a shortest chain of pointers from a root to it.\n",
    .options = options,
    .takes_target = true,
    .operand = cmd_refs_take_operand,
    .run = cmd_refs_run,
};
