/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_block.c - one block: what it is, its age and who allocated it.
 */
#include "coreanalyze/reports/print_block.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/reports/print.h"
#include "coreanalyze/reports/print_rows.h"

#include <inttypes.h>
#include <string.h>

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
    if (!mt_variables_are_whole(printer->namer.variables))
        mt_resolver_lacks(printer->namer.resolver);
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

/* Adds a part of a list to a line, or begins another one. */
static void block_put(const struct mt_report *report, int *column,
                      const char *text)
{
    unsigned width = report->style ? report->style->width : 0;

    if (!mt_report_is_full(report) && width > 0 &&
        *column + 3 + (int)strlen(text) > (int)width) {
        fputs(",\n  ", report->out);
        *column = 2;
    } else if (*column > 0) {
        fputs(", ", report->out);
        *column += 2;
    }
    mt_put_text(report->out, text);
    *column += (int)strlen(text);
}

static void block_put_owner(const struct mt_report *report,
                            const struct mt_block *block, int *column)
{
    char text[80], thread[64] = "";

    if (block->owner_tid)
        snprintf(thread, sizeof thread, "thread %" PRIu32 " %s",
                 block->owner_tid,
                 mt_model_thread_name(report->model, block->owner_tid));
    if (thread[0] && thread[strlen(thread) - 1] == ' ')
        thread[strlen(thread) - 1] = '\0';
    if (mt_report_is_full(report))
        snprintf(text, sizeof text, "span %" PRIu32 "%s%s", block->span,
                 thread[0] ? " of " : "", thread);
    else
        snprintf(text, sizeof text, "%s", thread);
    if (text[0])
        block_put(report, column, text);
}

void mt_print_block(const struct mt_block_printer *w, const char *label,
                    const struct mt_block *block, uint64_t address)
{
    struct mt_model *model = w->namer.model;
    struct mt_report report = {model,  NULL, w->namer.resolver,
                               w->out, NULL, w->style};
    struct mt_show_row row = block_row(model, block);
    char text[96];
    int column;

    column =
        fprintf(w->out, "%s0x%" PRIx64 ": %s block of %" PRIu64 " bytes", label,
                address, block->live ? "live" : "freed", block->bytes);
    if (address != block->address)
        column += fprintf(w->out, " at 0x%" PRIx64 " + 0x%" PRIx64,
                          block->address, address - block->address);
    column += fprintf(w->out, " (takes %" PRIu64 ")", block->block_bytes);
    block_put(&report, &column, model->heaps[block->heap].name);
    block_put_owner(&report, block, &column);
    if (block->stack >= MT_ID_FIRST) {
        uint64_t ns = mt_model_age_ns(model, block->epoch) + model->idle_ns;
        snprintf(
            text, sizeof text, "%sallocated %" PRIu64 ".%03" PRIu64 " s ago by",
            block->live ? "" : "last ", ns / 1000000000, ns / 1000000 % 1000);
        block_put(&report, &column, text);
    }
    fputs("\n    ", w->out);
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
    mt_json_put_frames(json, &report, &row, NULL);
}
