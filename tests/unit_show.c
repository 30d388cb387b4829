/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The sums of show, and what they look like: table, folded, JSON.  Commands
 * run through the library's interface, as GDB runs them.
 */
#include "coreanalyze/source/callbacks.h"
#include "coreanalyze/analyses/show.h"
#include "coreanalyze/snapshot/snapshot.h"
#include "tests/trace_image.h"
#include "tests/unit.h"

#include <stdarg.h>
#include <stdlib.h>

static struct image *image;
static struct plan plan;
static struct mt_source *source;
static struct mt_model *model;
static struct mt_show show;
static struct mt_show_options options;
static struct mt_error error;

static bool run_show(void)
{
    const struct mt_snapshot_options none = {0};

    memset(&error, 0, sizeof error);
    source = mt_source_open_core(image_core(image, 0), &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(source);
    model = mt_snapshot_take(source, &none, &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    return mt_show_run(model, &options, &show, &error);
}

static void start(void)
{
    image = image_planned(&plan);
    options = (struct mt_show_options){0};
}

static void end(void)
{
    mt_show_free(&show);
    mt_model_free(model);
    mt_source_free(source);
    image_free(image);
}

static bool row_is(size_t i, uint32_t stack, uint64_t bytes, uint64_t count)
{
    return i < show.n_rows && show.rows[i].stack == stack &&
           show.rows[i].bytes == bytes && show.rows[i].count == count;
}

static void sums_by_stack(void)
{
    start();
    CU_ASSERT(run_show());
    CU_ASSERT_EQUAL(show.n_rows, 3);
    CU_ASSERT(row_is(0, plan.stacks[1], 1000000, 1));
    CU_ASSERT(row_is(1, plan.stacks[0], 300, 3));
    CU_ASSERT(row_is(2, plan.stacks[2], 40, 1));
    CU_ASSERT_EQUAL(show.rows[1].sample, plan.blocks[0]);
    CU_ASSERT_EQUAL(show.rows[1].oldest_epoch, 1);
    CU_ASSERT_EQUAL(show.untraced[0].bytes, 48);
    CU_ASSERT_EQUAL(show.untraced[0].count, 1);
    CU_ASSERT_EQUAL(show.traced[0].bytes, 1000340);
    end();
}

static void sorts(void)
{
    start();
    IMAGE_RECORD(image, STACKS, mt_stack_record, plan.stacks[2])->allocs = 9;
    options.sort = MT_SORT_COUNT;
    CU_ASSERT(run_show());
    CU_ASSERT(row_is(0, plan.stacks[0], 300, 3));
    CU_ASSERT(row_is(1, plan.stacks[1], 1000000, 1));
    end();
    start();
    options.sort = MT_SORT_AGE;
    CU_ASSERT(run_show());
    CU_ASSERT(row_is(0, plan.stacks[1], 1000000, 1));
    CU_ASSERT(row_is(2, plan.stacks[2], 40, 1));
    end();
    start();
    IMAGE_RECORD(image, STACKS, mt_stack_record, plan.stacks[2])->allocs = 9;
    options.sort = MT_SORT_ALLOCS;
    CU_ASSERT(run_show());
    CU_ASSERT(row_is(0, plan.stacks[2], 40, 1));
    CU_ASSERT_EQUAL(show.rows[0].allocs, 9);
    end();
}

static void filters(void)
{
    start();
    options.top = 1;
    CU_ASSERT(run_show());
    CU_ASSERT_EQUAL(show.n_rows, 1);
    CU_ASSERT_EQUAL(show.n_all_rows, 3);
    CU_ASSERT_EQUAL(show.shown.bytes, 1000340);
    end();
    start();
    options.min_bytes = 300;
    CU_ASSERT(run_show());
    CU_ASSERT_EQUAL(show.n_rows, 2);
    end();
    start();
    options.since = mt_when_parse("4.5"); /* the newest epoch is at 5 s */
    CU_ASSERT(run_show());
    CU_ASSERT_EQUAL(show.n_rows, 2);
    CU_ASSERT(row_is(0, plan.stacks[0], 300, 3));
    end();
    start();
    options.heap = "other";
    CU_ASSERT(!run_show());
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "no heap 'other'"));
    end();
}

/* Each --top N shows the first N rows of all, in their order. */
static void tops(void)
{
    enum { STACKS = 60 };
    uint64_t samples[STACKS + 3];

    for (size_t top = 0; top <= STACKS + 4; top++) {
        uint32_t small;
        start();
        small = image_small(image, 0, 64, STACKS);
        for (uint32_t i = 0; i < STACKS; i++) {
            uint64_t frame = 0x500000 + i * 16;
            image_block(image, small, i, image_stack(image, 1, &frame), 1,
                        8 + i * 37 % 53);
        }
        options.top = top;
        CU_ASSERT(run_show());
        CU_ASSERT_EQUAL(show.n_all_rows, STACKS + 3);
        CU_ASSERT_EQUAL(show.n_rows,
                        top && top < STACKS + 3 ? top : STACKS + 3);
        for (size_t i = 0; i < show.n_rows; i++) {
            if (top == 0)
                samples[i] = show.rows[i].sample;
            if (show.rows[i].sample != samples[i] ||
                (i > 0 && show.rows[i - 1].bytes < show.rows[i].bytes))
                CU_FAIL("another row");
        }
        end();
    }
}

static void since_a_mark(void)
{
    start();
    image_epoch(image, 6000000000, "phase");
    image_block(image, plan.small, 1, plan.stacks[2], 3, 60);
    options.since = mt_when_parse("phase");
    CU_ASSERT(run_show());
    CU_ASSERT_EQUAL(show.n_rows, 1);
    CU_ASSERT(row_is(0, plan.stacks[2], 60, 1));
    end();
    start();
    options.since = mt_when_parse("phase");
    CU_ASSERT(!run_show());
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "no mark 'phase'"));
    end();
}

static void two_heaps(void)
{
    uint32_t heap, region, span;

    start();
    heap = image_heap(image, "second", MT_TRACE_ON, MT_HEAP_LOCKED);
    region = image_region(image, heap, IMAGE_HEAP + (1 << 24), 4);
    span = image_small(image, region, 64, 8);
    image_block(image, span, 0, plan.stacks[0], 1, 64);
    CU_ASSERT(run_show());
    CU_ASSERT_EQUAL(show.n_rows, 4);
    CU_ASSERT(row_is(2, plan.stacks[0], 64, 1));
    CU_ASSERT_EQUAL(show.rows[2].heap, heap);
    end();
}

static void merges_by_depth(void)
{
    start();
    options.depth = 2; /* stacks 0 and 2 differ in the third frame */
    CU_ASSERT(run_show());
    CU_ASSERT_EQUAL(show.n_rows, 2);
    CU_ASSERT_EQUAL(show.rows[1].bytes, 340);
    CU_ASSERT_EQUAL(show.rows[1].count, 4);
    CU_ASSERT_EQUAL(show.rows[1].depth, 2);
    CU_ASSERT_EQUAL(show.rows[1].sample, plan.blocks[0]);
    end();
}

/* One in 1000 bytes: a block of 100 is taken in 1 of 10.5 cases. */
static void scales_samples(void)
{
    start();
    image->root->sample_bytes = 1000;
    CU_ASSERT(run_show());
    CU_ASSERT(show.scaled);
    CU_ASSERT_EQUAL(show.rows[1].sampled, 3);
    CU_ASSERT_EQUAL(show.rows[1].count, 32); /* 3 / (1 - e^-0.1) = 31.5 */
    CU_ASSERT_EQUAL(show.rows[1].bytes, 3152);
    CU_ASSERT_EQUAL(show.rows[0].count, 1);
    end();
}

/* Rows that are taken one by one are those that are made at once: by stack, but
 * for those of another heap, and with estimates of their own. */
static void late_rows(void)
{
    for (unsigned late = 0; late < 2; late++) {
        static struct mt_show_row rows[64];
        struct mt_show_row row;
        size_t n = 0, n_late = 0;
        uint32_t stack = 0, other, region, small;

        start();
        image->root->sample_bytes = 100;
        other = image_heap(image, "second", MT_TRACE_ON, MT_HEAP_LOCKED);
        region = image_region(image, other, IMAGE_HEAP + (1 << 24), 4);
        small = image_small(image, region, 64, 8);
        image_block(image, small, 0, plan.stacks[2], 1, 64);
        image_block(image, small, 1, plan.stacks[0], 1, 60);
        small = image_small(image, 0, 64, 40);
        for (uint32_t i = 0; i < 40; i++) {
            uint64_t frame = 0x500000 + i * 16;
            stack = image_stack(image, 1, &frame);
            image_block(image, small, i * 7 % 40, stack, 1, 8 + i);
        }
        options.unsorted = true;
        options.late = late;
        CU_ASSERT(run_show());
        CU_ASSERT_EQUAL(show.n_rows, 45);
        if (!late)
            memcpy(rows, show.rows, sizeof *rows * 45);
        for (stack = UINT32_MAX; late && mt_show_take_row(&show, model, &row);
             n_late++) {
            for (n = 0; n < 45; n++)
                if (rows[n].heap == row.heap && rows[n].stack == row.stack &&
                    rows[n].bytes == row.bytes && rows[n].count == row.count &&
                    rows[n].sample == row.sample)
                    break;
            CU_ASSERT(n < 45);
            CU_ASSERT(row.heap == other || row.stack < stack);
            stack = row.heap == other ? stack : row.stack;
        }
        CU_ASSERT_EQUAL(n_late, late ? 45 : 0);
        end();
    }
}

/* --- as text --- */

static struct memtrace_reader *reader;

static const char *run(const char *first, ...)
{
    const char *argv[8] = {first}, *text = NULL, *problem = NULL;
    int argc = 1;
    va_list args;

    va_start(args, first);
    while ((argv[argc] = va_arg(args, const char *)) != NULL)
        argc++;
    va_end(args);
    int status = memtrace_reader_run(reader, argc, argv, &text, &problem);
    CU_ASSERT_EQUAL(status, problem[0] ? 1 : 0);
    return problem[0] ? problem : text;
}

static void open_image(void)
{
    char problem[256] = "";

    reader =
        memtrace_reader_open(image_core(image, 0), problem, sizeof problem);
    CU_ASSERT_PTR_NOT_NULL_FATAL(reader);
}

static void close_image(void)
{
    memtrace_reader_close(reader);
    image_free(image);
}

static void prints_table(void)
{
    static const char *const wanted[] = {
        "Process 4242 planned, core /",
        "\n  base 0x7e0000000000, size 2M, name 'main heap'\n",
        "\n    page stats: page-size 4K, total 512, in the core 0, not in "
        "the core 512\n",
        "\n    total: 2M, used: 992.42K, free: 1.03M, trimmable: 0\n",
        "\n      free chunks 1, free blocks 345\n",
        "\n    traced: 1000340 bytes in 5 blocks, untraced: 48 bytes in 1 "
        "block\n",
        "\n        Bytes    Count       Sample   Traceback\n"
        "      1000000        1 0x7e0000004000 program + 0x110\n"
        "                                      program + 0x20\n"
        "                                      program + 0x30\n"
        "          300        3 0x7e0000000000 program + 0x10\n",
        "found by its magic",
    };
    const char *text;

    start();
    open_image();
    text = run("show", "--full", NULL);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        CU_ASSERT_PTR_NOT_NULL(strstr(text, wanted[i]));
        if (!strstr(text, wanted[i]))
            printf("  lacks: %s\n%s", wanted[i], text);
    }
    close_image();
}

static void prints_folded(void)
{
    start();
    open_image();
    CU_ASSERT_STRING_EQUAL(
        run("show", "--folded", NULL),
        "program + 0x30;program + 0x20;program + 0x10 300\n"
        "program + 0x30;program + 0x20;program + 0x110 1000000\n"
        "program + 0x40;program + 0x20;program + 0x10 40\n"
        "[untraced] 48\n");
    close_image();
}

/* Names of heaps and modules may hold any bytes. */
static void escapes(void)
{
    static const char hostile[] = "a\"\\\x01\xff\xc3\xa4;\x1b[31m\xc2\x9b";
    struct mt_heap_record *h;
    const char *text;

    start();
    h = IMAGE_RECORD(image, HEAPS, mt_heap_record, plan.heap);
    memcpy(h->name, hostile, sizeof hostile);
    memset(h->name + 32, 'x', 32); /* and no NUL at the end */
    h->name[sizeof hostile - 1] = 'y';
    open_image();
    text = run("show", "--json", NULL);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(text, "\"name\":\"a\\\"\\\\\\u0001\\ufffd\xc3\xa4;\\u001b[31m"));
    text = run("show", "--full", NULL);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "name 'a\"\\??\xc3\xa4;?[31m?y"));
    CU_ASSERT_PTR_NULL(strchr(text, '\x1b'));
    close_image();
}

static void refuses(void)
{
    start();
    open_image();
    CU_ASSERT_PTR_NOT_NULL(strstr(run("show", "--tpo", NULL), "--tpo"));
    CU_ASSERT_PTR_NOT_NULL(strstr(run("show", "--top", NULL), "needs a value"));
    CU_ASSERT_PTR_NOT_NULL(strstr(run("show", "--top=-1", NULL), "a number"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(run("show", "--min", "1Q", NULL), "takes bytes"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(run("show", "--sort", "size", NULL), "'size'"));
    CU_ASSERT_PTR_NOT_NULL(strstr(run("show", "--depth=0", NULL), "1 to"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(run("show", "1234", NULL), "unexpected argument"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(run("show", "--json", "--folded", NULL), "exclude"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(run("run", "true", NULL), "unknown command 'run'"));
    CU_ASSERT_PTR_NOT_NULL(strstr(run("on", NULL), "cannot be written"));
    CU_ASSERT_PTR_NOT_NULL(strstr(run("show", "--help", NULL),
                                  "Usage: memtrace show [OPTIONS]\n"));
    close_image();
}

/* --- a debugger's target --- */

static size_t read_image(void *context, uint64_t address, void *buffer,
                         size_t bytes)
{
    struct image *from = context;

    if (address < IMAGE_BASE || address - IMAGE_BASE >= from->size)
        return 0;
    if (bytes > from->size - (address - IMAGE_BASE))
        bytes = from->size - (address - IMAGE_BASE);
    memcpy(buffer, from->bytes + (address - IMAGE_BASE), bytes);
    return bytes;
}

static int write_image(void *context, uint64_t address, const void *data,
                       size_t bytes)
{
    memcpy(image_at(context, address), data, bytes);
    return 1;
}

static int name_pc(void *context, uint64_t pc,
                   struct memtrace_reader_symbol *symbol)
{
    (void)context;
    snprintf(symbol->function, sizeof symbol->function, "debugger_knows");
    symbol->offset = pc & 0xff;
    return 1;
}

static struct memtrace_reader_target callback_target(void)
{
    return (struct memtrace_reader_target){.abi = MEMTRACE_READER_ABI,
                                           .pid = IMAGE_PID,
                                           .context = image,
                                           .read = read_image};
}

static void same_by_callbacks(void)
{
    struct memtrace_reader_target target;
    char problem[256] = "", *text;

    start();
    open_image();
    text = strdup(run("show", "--json", NULL));
    memtrace_reader_close(reader);
    target = callback_target();
    target.core = image_core(image, 0);
    reader = memtrace_reader_open_target(&target, problem, sizeof problem);
    CU_ASSERT_PTR_NOT_NULL_FATAL(reader);
    /* The core has another name now; all else is the same. */
    CU_ASSERT_STRING_EQUAL(strstr(run("show", "--json", NULL), "\"signal\""),
                           strstr(text, "\"signal\""));
    free(text);
    close_image();
}

static void tables_by_callbacks(void)
{
    struct memtrace_reader_target target;
    struct memtrace_reader_mapping mapping = {
        .start = IMAGE_BASE, .end = IMAGE_BASE, .flags = 3};
    char problem[256] = "";

    start();
    mapping.end += image->size;
    target = callback_target();
    target.mappings = &mapping;
    target.n_mappings = 1;
    target.symbol = name_pc;
    target.write = write_image;
    reader = memtrace_reader_open_target(&target, problem, sizeof problem);
    CU_ASSERT_PTR_NOT_NULL_FATAL(reader);
    CU_ASSERT_PTR_NOT_NULL(strstr(run("show", "--full", NULL),
                                  "0x7e0000000000 debugger_knows + 0x10\n"));
    CU_ASSERT_STRING_EQUAL(run("off", NULL),
                           "tracing off: heap 'main heap' (was on)\n");
    CU_ASSERT_EQUAL(
        IMAGE_RECORD(image, HEAPS, mt_heap_record, plan.heap)->trace,
        MT_TRACE_ERASE);
    CU_ASSERT_STRING_EQUAL(run("on", "--heap", "main heap", NULL),
                           "tracing on: heap 'main heap' (was off)\n");
    CU_ASSERT_EQUAL(
        IMAGE_RECORD(image, HEAPS, mt_heap_record, plan.heap)->trace,
        MT_TRACE_ON);
    CU_ASSERT_STRING_EQUAL(memtrace_reader_values(reader, "--heap")[0],
                           "main heap");
    CU_ASSERT_PTR_NULL(memtrace_reader_values(reader, "--heap")[1]);
    close_image();
    target.abi = 0;
    CU_ASSERT_PTR_NULL(
        memtrace_reader_open_target(&target, problem, sizeof problem));
}

/* Off means off where it was on; a heap that never traced stays so. */
static void off_keeps_never(void)
{
    struct memtrace_reader_target target;
    struct mt_heap_record *h;
    char problem[256] = "";

    start();
    h = IMAGE_RECORD(image, HEAPS, mt_heap_record, plan.heap);
    h->trace = MT_TRACE_NEVER;
    target = callback_target();
    target.write = write_image;
    target.root_symbol = IMAGE_BASE + 3000; /* in the root's page, unused */
    *(uint64_t *)image_at(image, target.root_symbol) = IMAGE_BASE;
    reader = memtrace_reader_open_target(&target, problem, sizeof problem);
    CU_ASSERT_PTR_NOT_NULL_FATAL(reader);
    run("off", NULL);
    CU_ASSERT_EQUAL(h->trace, MT_TRACE_NEVER);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(run("show", "--json", NULL), "\"root\":\"symbol\""));
    close_image();
}

/* --- a target that runs while it is read --- */

static uint64_t tags_were, tags_are; /* arrays of the small span's tags */

/* Between the reading of the span's record and that of its tags it was freed,
 * and its record taken again for blocks of the same size: another array of tags
 * is its own, and the old one holds links of free arrays. */
static size_t read_changing(void *context, uint64_t address, void *buffer,
                            size_t bytes)
{
    struct mt_span_record *s =
        IMAGE_RECORD(image, SPANS, mt_span_record, plan.small);
    uint64_t base = image->root->sections[MT_SECTION_TAGS].base;
    uint64_t *old = image_at(image, tags_were);

    if (s->tags == tags_were && address >= base && address <= tags_were &&
        tags_were - address < bytes) {
        memcpy(image_at(image, tags_are), old, s->n_blocks * sizeof *old);
        for (uint32_t i = 0; i < s->n_blocks; i++)
            old[i] = UINT64_MAX - i;
        if (tags_are != tags_were)
            s->tags = tags_are;
    }
    return read_image(context, address, buffer, bytes);
}

static uint64_t bad_tags_while_running(bool moves)
{
    struct memtrace_reader_target target;
    struct memtrace_reader_mapping mapping = {.start = IMAGE_BASE, .flags = 3};
    char problem[256] = "";
    const char *found;
    uint64_t n;

    start();
    tags_were = IMAGE_RECORD(image, SPANS, mt_span_record, plan.small)->tags;
    tags_are = moves ? image_alloc(image, MT_SECTION_TAGS, 50 * 8) : tags_were;
    mapping.end = IMAGE_BASE + image->size;
    target = callback_target();
    target.mappings = &mapping;
    target.n_mappings = 1;
    target.read = read_changing;
    reader = memtrace_reader_open_target(&target, problem, sizeof problem);
    CU_ASSERT_PTR_NOT_NULL_FATAL(reader);
    found = strstr(run("show", "--json", NULL), "\"bad_tags\":");
    CU_ASSERT_PTR_NOT_NULL_FATAL(found);
    n = strtoull(found + strlen("\"bad_tags\":"), NULL, 10);
    CU_ASSERT_EQUAL(*(uint64_t *)image_at(image, tags_were), UINT64_MAX);
    close_image();
    return n;
}

static void tags_of_another_span(void)
{
    CU_ASSERT_EQUAL(bad_tags_while_running(true), 0);
    CU_ASSERT_EQUAL(bad_tags_while_running(false), 3);
}

static const struct unit_test tests[] = {
    {"sums by heap and stack", sums_by_stack},
    {"rows are sorted by each key", sorts},
    {"--top, --min, --since, --heap", filters},
    {"--top N is the first N rows of all", tops},
    {"--since a mark", since_a_mark},
    {"heaps have rows of their own", two_heaps},
    {"--depth merges stacks", merges_by_depth},
    {"a sample is scaled up", scales_samples},
    {"the table", prints_table},
    {"rows that are taken one by one", late_rows},
    {"the folded form", prints_folded},
    {"hostile names are escaped", escapes},
    {"wrong options are refused in one line", refuses},
    {"a debugger reads the same JSON", same_by_callbacks},
    {"tags of a span that is another by now are not damage",
     tags_of_another_span},
    {"a debugger's tables, names and writes", tables_by_callbacks},
    {"off leaves a heap alone that never traced", off_keeps_never},
};
UNIT_MAIN(tests)
