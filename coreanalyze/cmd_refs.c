/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_refs.c - memtrace refs: who holds a block.
 */
#include "coreanalyze/cmd_leaks.h"
#include "coreanalyze/cmd_whatis.h"
#include "coreanalyze/json.h"
#include "coreanalyze/refs.h"
#include "coreanalyze/whatis_name.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_TOP, OPT_HEURISTICS, OPT_TAG_BITS, OPT_NO_STOP, OPT_JSON };

static const struct mt_option options[] = {
    [OPT_TOP] = {"--top", 'n', "N", "list N holders (default: 20; 0: all)"},
    [OPT_HEURISTICS] = {"--heuristics", 0, "NAMES", "as for leaks"},
    [OPT_TAG_BITS] = {"--tag-bits", 0, "low=N,high=N",
                      "bits of pointers that may hold tags"},
    [OPT_NO_STOP] = {"--no-stop", 0, NULL,
                     "do not stop a live process while its memory is copied"},
    [OPT_JSON] = {"--json", 0, NULL, "JSON instead of text"},
    {0},
};

struct arguments {
    struct mt_refs_options refs;
    const char *target;
    uint64_t address;
    bool has_address, no_stop, json, help;
};

static bool take_option(struct arguments *a, const struct mt_args *args,
                        int option, struct mt_error *error)
{
    uint64_t n;

    switch (option) {
    case OPT_TOP:
        if (!mt_arg_count(args, "--top", &n, error))
            return false;
        a->refs.max_holders = n;
        return true;
    case OPT_HEURISTICS:
        return mt_take_heuristics(args, &a->refs.mark.scan.heuristics, error);
    case OPT_TAG_BITS:
        return mt_take_tag_bits(args, &a->refs.mark.scan, error);
    case OPT_NO_STOP:
        return a->no_stop = true;
    default:
        return a->json = true;
    }
}

static bool take_operand(const struct mt_session *session,
                         const struct mt_args *args, struct arguments *a,
                         struct mt_error *error)
{
    if (session->target == NULL && a->target == NULL) {
        a->target = args->value;
        return true;
    }
    if (a->has_address)
        return mt_fail(error, "refs: one operand too many: %s", args->value);
    a->has_address = true;
    return mt_take_address(args, &a->address, error);
}

static bool parse_all(struct mt_session *session, struct mt_args *args,
                      struct arguments *a, struct mt_error *error)
{
    int option;

    mt_mark_defaults(session, &a->refs.mark);
    a->refs.max_holders = 20;
    while ((option = mt_args_next(args, error)) != MT_ARG_END) {
        bool ok = option != MT_ARG_ERROR;
        if (option == MT_ARG_HELP)
            return a->help = true;
        if (option == MT_ARG_OPERAND)
            ok = take_operand(session, args, a, error);
        else if (ok)
            ok = take_option(a, args, option, error);
        if (!ok)
            return false;
    }
    return a->has_address || mt_fail(error, "refs: no ADDRESS");
}

/* Where a pointer is: a root by name, or a block. */
static char *name_ref(const struct mt_namer *namer, const struct mt_ref *ref)
{
    if (ref->at == 0 && !ref->from_block)
        return mt_name_word(namer, &namer->roots->words[ref->word]);
    return mt_name_address(namer, ref->at);
}

static void put_block(const struct mt_whatis *w, uint64_t address)
{
    struct mt_block block;

    if (mt_model_find(w->namer.model, address, &block) == MT_PLACE_LIVE)
        mt_whatis_block(w, &block, address);
    else
        fputs("mapping\n", w->out);
}

static void put_ref(const struct mt_whatis *w, const struct mt_ref *ref)
{
    char *name;

    if (ref->from_block) {
        put_block(w, ref->at);
    } else {
        name = name_ref(&w->namer, ref);
        if (ref->at)
            fprintf(w->out, "0x%" PRIx64 ": ", ref->at);
        fprintf(w->out, "%s\n", name ? name : "?");
        free(name);
    }
}

static void put_text(const struct mt_whatis *w, const struct mt_refs *refs,
                     uint64_t address)
{
    FILE *out = w->out;

    put_block(w, address);
    if (refs->n_chain == 0)
        fputs("\nNo chain of pointers from a root leads here.\n", out);
    else
        fprintf(out, "\nShortest chain from a root, %zu pointers:\n",
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
        put_block(w, address);
    fprintf(out, "\nHeld by %" PRIu64 " pointers", refs->n_all_holders);
    if (refs->n_holders < refs->n_all_holders)
        fprintf(out, ", %zu of them listed", refs->n_holders);
    fputs(refs->n_holders ? ":\n" : "\n", out);
    for (size_t i = 0; i < refs->n_holders; i++)
        put_ref(w, &refs->holders[i]);
    if (refs->missing_bytes)
        fprintf(out,
                "  note: %" PRIu64 " bytes could not be read: there may be "
                "more\n",
                refs->missing_bytes);
    if (refs->roots.coverage.missing_bytes)
        fprintf(out,
                "  note: %" PRIu64 " bytes of writable memory are not in the "
                "core: there may be more\n",
                refs->roots.coverage.missing_bytes);
}

static void put_json_ref(struct mt_json *json, const struct mt_whatis *w,
                         const struct mt_ref *ref)
{
    struct mt_block block;
    char *name;

    mt_json_open(json, NULL, '{');
    mt_json_string(json, "from", ref->from_block ? "block" : "root");
    if (ref->from_block &&
        mt_model_find(w->namer.model, ref->at, &block) == MT_PLACE_LIVE) {
        mt_json_open(json, "block", '{');
        mt_whatis_json_block(json, w, &block, ref->at);
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

static void put_json(const struct mt_whatis *w, const struct mt_refs *refs,
                     uint64_t address)
{
    struct mt_json json = {.out = w->out};
    struct mt_block block;

    mt_json_open(&json, NULL, '{');
    mt_json_u64(&json, "version", 1);
    mt_json_open(&json, "block", '{');
    if (mt_model_find(w->namer.model, address, &block) == MT_PLACE_LIVE)
        mt_whatis_json_block(&json, w, &block, address);
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

static bool search_and_print(struct mt_session *session,
                             const struct arguments *a,
                             struct mt_target *target, struct mt_error *error)
{
    struct mt_refs refs;
    struct mt_whatis w;
    bool ok = mt_refs_run(target->model, a->address, &a->refs, &refs, error);

    if (ok && !refs.live)
        ok = mt_fail(error,
                     "refs: 0x%" PRIx64 " is in no live block (see whatis)",
                     a->address);
    if (ok)
        ok = mt_whatis_begin(session, target, &refs.roots, &w, error);
    if (ok) {
        if (a->json)
            put_json(&w, &refs, a->address);
        else
            put_text(&w, &refs, a->address);
        mt_whatis_end(&w);
    }
    mt_refs_free(&refs);
    return ok;
}

static int run(struct mt_session *session, int argc, const char *const *argv,
               struct mt_error *error)
{
    struct mt_args args = {.argc = argc, .argv = argv, .options = options};
    struct arguments a = {0};
    struct mt_target target = {0};
    bool ok;

    if (!parse_all(session, &args, &a, error))
        return MT_EXIT_ERROR;
    if (a.help) {
        mt_command_help(&mt_command_refs, session->target == NULL,
                        session->out);
        return MT_EXIT_OK;
    }
    ok = mt_target_frozen(session, "refs", a.target, !a.no_stop, &target,
                          error) &&
         search_and_print(session, &a, &target, error);
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
    .run = run,
};
