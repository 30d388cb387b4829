/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_block.c - one block: what it is, its age and who allocated it.
 */
#include "coreanalyze/reports/print_block.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/reports/print.h"

#include <inttypes.h>

bool mt_block_printer_begin(struct mt_block_printer *printer,
                            struct mt_model *model,
                            const struct mt_roots *roots,
                            const struct mt_resolver_options *names,
                            const struct mt_style *style, FILE *out,
                            struct mt_error *error)
{
    *printer = (struct mt_block_printer){
        .namer = {model, mt_resolver_new(model, names), roots,
                  mt_variables_new(names->debug_dirs,
                                   names->sysroot
                                       ? names->sysroot
                                       : model->source->process.root),
                  &printer->frames},
        .out = out,
        .style = style};
    if (printer->namer.resolver && printer->namer.variables)
        return true;
    mt_resolver_free(printer->namer.resolver);
    mt_variables_free(printer->namer.variables);
    return mt_no_memory(error, "the names");
}

bool mt_block_printer_end(struct mt_block_printer *printer,
                          struct mt_error *error)
{
    mt_variables_free(printer->namer.variables);
    return mt_resolver_finish(printer->namer.resolver, error);
}

/* A row of one block, for the printers of stacks. */
static struct mt_show_row block_row(const struct mt_model *model,
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

void mt_print_block(const struct mt_block_printer *w,
                    const struct mt_block *block, uint64_t address)
{
    struct mt_model *model = w->namer.model;
    struct mt_report report = {model,  NULL, w->namer.resolver,
                               w->out, NULL, w->style};
    struct mt_show_row row = block_row(model, block);
    FILE *out = w->out;

    fprintf(out, "0x%" PRIx64 ": %s block of %" PRIu64 " bytes", address,
            block->live ? "live" : "freed", block->bytes);
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
        fputs(block->live ? ", allocated " : ", last allocated ", out);
        put_seconds(out, mt_model_age_ns(model, block->epoch) + model->idle_ns);
        fputs(" ago by", out);
    }
    fputs("\n    ", out);
    mt_print_row_frames(&report, &row, 4);
}

void mt_json_put_block(struct mt_json *json, const struct mt_block_printer *w,
                       const struct mt_block *block, uint64_t address)
{
    struct mt_model *model = w->namer.model;
    struct mt_report report = {model,  NULL, w->namer.resolver,
                               w->out, NULL, w->style};
    struct mt_show_row row = block_row(model, block);

    mt_json_string(json, "state", block->live ? "live" : "freed");
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
