/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_blocks.c - memtrace blocks: the live blocks of a row of show, or of a
 * function, one by one.
 */
#include "coreanalyze/base/json.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/commands/row_options.h"
#include "coreanalyze/names/short_name.h"
#include "coreanalyze/reports/print.h"
#include "coreanalyze/reports/print_rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS_USUAL 20u

struct arguments {
    struct mt_arguments common;
    struct mt_show_options show;
    struct mt_row_arguments rows;
    uint64_t top;
    const char *what; /* ROW or FUNCTION */
};

static const struct mt_option options[] = {
    {"--top", 'n', "N", "the first N blocks (default: 20); 0: all",
     MT_FIELD(mt_parse_count, uint64_t, top)},
    {"--heap", 0, "NAME", "only blocks of this heap",
     MT_FIELD(mt_parse_text, const char *, show.heap)},
    {"--sort", 0, "KEY", "how the rows are numbered: as --sort of show",
     MT_FIELD(mt_parse_sort, enum mt_show_sort, show.sort)},
    {"--min", 0, "BYTES", "rows with at least BYTES live",
     MT_FIELD(mt_parse_bytes, uint64_t, show.min_bytes)},
    MT_OPTIONS_ROWS(rows),
    MT_OPTION_SINCE(show),
    MT_OPTION_OLDER(show),
    MT_OPTION_JSON,
    MT_OPTION_DEBUG_DIR,
    MT_OPTION_SYSROOT,
    MT_OPTION_COREDUMP,
    {0},
};

struct blocks {
    const struct arguments *arguments;
    struct mt_model *model;
    bool *wanted;  /* by stack */
    uint32_t heap; /* of a row; UINT32_MAX: any */
    struct mt_block *list;
    size_t n, capacity;
    struct mt_show_sum sum;
    bool out_of_memory;
};

/* --- which stacks --- */

struct name_search {
    const char *name;
    bool found;
};

/* Compares with the whole name and the short one: `std::vector<int>::resize`,
 * and the last part of it. */
static void match_name(void *context, const struct mt_frame *frame)
{
    struct name_search *search = context;
    char *name;
    size_t n, m = strlen(search->name);

    if (search->found || !frame->function)
        return;
    name = mt_short_name(frame->function);
    n = name ? strlen(name) : 0;
    search->found = strcmp(frame->function, search->name) == 0 ||
                    (n >= m && strcmp(name + n - m, search->name) == 0 &&
                     (n == m || name[n - m - 1] == ':'));
    free(name);
}

/* The number of a row, or 0 for the name of a function. */
static uint64_t row_number(const char *text)
{
    char *end;
    uint64_t n = strtoull(text, &end, 10);

    return *text >= '0' && *text <= '9' && *end == '\0' ? n : 0;
}

/* A name as a row shows it, cut at its start. */
static const char *blocks_uncut(const char *name)
{
    if (strncmp(name, "...", 3) == 0)
        return name + 3;
    return strncmp(name, "\u2026", 3) == 0 ? name + 3 : name;
}

static bool blocks_choose(struct blocks *b, const struct mt_show *show,
                          const struct mt_report *report,
                          struct mt_error *error)
{
    const char *what = blocks_uncut(b->arguments->what);
    uint64_t number = row_number(what);
    bool any = false;

    b->heap = UINT32_MAX;
    if (number > 0) {
        if (number > show->n_rows)
            return mt_fail(error, "blocks: there is no row %s: show has %zu",
                           what, show->n_rows);
        b->heap = show->rows[number - 1].heap;
        b->wanted[show->rows[number - 1].stack] = true;
        return true;
    }
    for (size_t i = 0; i < show->n_rows; i++) {
        struct name_search search = {what, false};
        mt_report_frames(report, &show->rows[i], match_name, &search);
        b->wanted[show->rows[i].stack] |= search.found;
        any |= search.found;
    }
    return any || mt_fail(error,
                          "blocks: no stack with live blocks has a function "
                          "'%s': it takes a name or its last parts, or the "
                          "number of a row of show",
                          what);
}

/* --- their blocks --- */

static bool blocks_take(void *context, const struct mt_block *block,
                        struct mt_show_class *row_class)
{
    struct blocks *b = context;

    (void)row_class;
    if (!b->wanted[block->stack] ||
        (b->heap != UINT32_MAX && b->heap != block->heap))
        return false;
    b->sum.bytes += block->bytes;
    b->sum.count++;
    if ((b->arguments->top > 0 && b->n >= b->arguments->top) ||
        b->out_of_memory)
        return false;
    if (!mt_grow(&b->list, &b->capacity, b->n + 1, sizeof *b->list)) {
        b->out_of_memory = true;
        return false;
    }
    b->list[b->n++] = *block;
    return false;
}

static bool blocks_collect(struct blocks *b, struct mt_error *error)
{
    struct mt_show_options collect = b->arguments->show;
    struct mt_show show = {0};
    bool ok;

    collect.classify = blocks_take;
    collect.classify_context = b;
    collect.top = collect.min_bytes = 0;
    collect.freed = false;
    ok = mt_show_run(b->model, &collect, &show, error);
    mt_show_free(&show);
    return ok && (!b->out_of_memory || mt_no_memory(error, "the blocks"));
}

static void blocks_put_text(const struct blocks *b, FILE *out)
{
    char age[MT_FIGURE_BYTES], address[24];

    fprintf(out, "%14s %13s %6s\n", "Address", "Bytes", "Age");
    for (size_t i = 0; i < b->n; i++) {
        const struct mt_block *block = &b->list[i];
        snprintf(address, sizeof address, "0x%" PRIx64, block->address);
        fprintf(out, "%14s %13" PRIu64 " %6s\n", address, block->bytes,
                block->stack >= MT_ID_FIRST
                    ? mt_age_text(b->model, block->epoch, age)
                    : "-");
    }
    mt_put_count(out, "  %s block{|s}, ", b->sum.count);
    mt_put_count(out, "%s byte{|s}", b->sum.bytes);
    if (b->n < b->sum.count && b->n == 1)
        fputs("; the first is shown (--top 0 shows all)", out);
    else if (b->n < b->sum.count)
        fprintf(out, "; the first %zu are shown (--top 0 shows all)", b->n);
    putc('\n', out);
}

static void blocks_put_json(const struct blocks *b, FILE *out)
{
    struct mt_json json = {.out = out};

    mt_json_open(&json, NULL, '{');
    mt_json_u64(&json, "version", 1);
    mt_json_put_sum(&json, "all", &b->sum);
    mt_json_open(&json, "blocks", '[');
    for (size_t i = 0; i < b->n; i++) {
        const struct mt_block *block = &b->list[i];
        mt_json_open(&json, NULL, '{');
        mt_json_address(&json, "start", block->address);
        mt_json_u64(&json, "bytes", block->bytes);
        mt_json_u64(&json, "block_bytes", block->block_bytes);
        mt_json_seconds(&json, "age_s",
                        (double)mt_model_age_ns(b->model, block->epoch) / 1e9);
        mt_json_close(&json, '}');
    }
    mt_json_close(&json, ']');
    mt_json_close(&json, '}');
}

/* --- the command --- */

static bool cmd_blocks_take_operand(void *arguments, const struct mt_args *args,
                                    struct mt_error *error)
{
    struct arguments *a = arguments;

    if (a->what)
        return mt_unexpected("blocks", args->value, error);
    a->what = args->value;
    return true;
}

static bool cmd_blocks_find(struct mt_session *session, struct arguments *a,
                            struct mt_rows *rows, struct mt_target *target,
                            struct mt_error *error)
{
    struct blocks b = {.arguments = a, .model = target->model};
    const struct mt_style style = {.ellipsis = "..."};
    struct mt_show show = {0};
    struct mt_report report = {target->model, &show, NULL,
                               session->out,  NULL,  &style};
    bool ok = mt_show_run(target->model, &a->show, &show, error);

    b.wanted = calloc(target->model->n_stacks + 1, sizeof *b.wanted);
    if (ok && !b.wanted)
        ok = mt_no_memory(error, "the stacks");
    if (ok)
        report.resolver = mt_arguments_resolver(session, &a->common.places,
                                                target->model, error);
    ok = ok && report.resolver;
    if (ok) {
        mt_rows_filter(rows, &report, &show);
        ok = blocks_choose(&b, &show, &report, error) &&
             blocks_collect(&b, error);
    }
    if (ok && a->common.json)
        blocks_put_json(&b, session->out);
    else if (ok)
        blocks_put_text(&b, session->out);
    if (report.resolver)
        ok = mt_resolver_finish(report.resolver, ok ? error : NULL) && ok;
    mt_show_free(&show);
    free(b.wanted);
    free(b.list);
    return ok;
}

static int cmd_blocks_run(struct mt_session *session, int argc,
                          const char *const *argv, struct mt_error *error)
{
    struct arguments a = {.top = BLOCKS_USUAL};
    struct mt_target target = {0};
    struct mt_rows rows;
    int status;
    bool ok;

    if (!mt_arguments_read(session, &mt_command_blocks, argc, argv, &a, &status,
                           error))
        return status;
    if (!a.what) {
        mt_missing("blocks", "ROW or FUNCTION", error);
        return MT_EXIT_ERROR;
    }
    /* The rows are those of show. */
    a.show.freed =
        (a.show.sort == MT_SORT_ALLOCS || a.show.sort == MT_SORT_LIFETIME) &&
        a.show.since.kind == MT_WHEN_NOT && a.show.older.kind == MT_WHEN_NOT;
    ok = mt_rows_begin(&rows, &a.rows, &a.common, &a.show, error) &&
         mt_target_open(session, "blocks", a.common.target, &target, error) &&
         mt_target_model(session, &target, error) &&
         cmd_blocks_find(session, &a, &rows, &target, error) &&
         mt_target_lives(&target, error);
    mt_rows_end(&rows);
    mt_target_close(&target);
    return ok ? MT_EXIT_OK : MT_EXIT_ERROR;
}

const struct mt_command mt_command_blocks = {
    .name = "blocks",
    .operands = "TARGET ROW|FUNCTION",
    .summary = "List the live blocks of a row of show, or of a function.",
    .details =
        "ROW is the number that show prints with the same --heap, --sort,\n"
        "--min, --focus, --ignore, --since and --older.  FUNCTION is a name,\n"
        "or the last part of one: the blocks are those of all stacks that\n"
        "have it.  In GDB each address becomes a value of the history:\n"
        "`p *(struct page *) $` prints the last one, `$3` the third.\n",
    .options = options,
    .takes_target = true,
    .operand = cmd_blocks_take_operand,
    .run = cmd_blocks_run,
};
