/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A fuzz target for all that reads a core: the ELF file, the snapshot, the
 * analyses and look-ups.  Built by `make fuzz_core` with clang; run as
 *
 *     tests/fuzz_core -max_len=65536 FOLDER
 *
 * With MT_FUZZ_FILES in the environment it is for other files (fuzz_files.c).
 * Otherwise the input is a list of changes to a core that is well-formed: a
 * fuzzer alone would hardly ever get past the checks of the file's headers.  An
 * input that starts with "\x7f" "ELF" is taken as the whole file.
 */
#include "coreanalyze/source/core.h"
#include "coreanalyze/analyses/diff.h"
#include "coreanalyze/analyses/leaks.h"
#include "coreanalyze/reach/mark_keep.h"
#include "coreanalyze/analyses/retained.h"
#include "coreanalyze/snapshot/snapshot.h"
#include "tests/fuzz_files.h"
#include "tests/trace_image.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECTION_BYTES 16384u
/* A mapping that points to blocks, just before them. */
#define ROOT_BYTES 4096u
#define MEMORY_WORDS 2048u

static uint8_t *core;
static size_t core_bytes;
static uint64_t memory[MEMORY_WORDS];

static void make_core(void)
{
    struct plan plan;
    struct image *image;

    image_section_bytes = SECTION_BYTES;
    image = image_planned(&plan);
    for (unsigned i = 1; i <= 8; i++) {
        uint64_t at = image_alloc(image, MT_SECTION_SAMPLES,
                                  sizeof(struct mt_sample_record));
        struct mt_sample_record *s = image_at(image, at);
        s->monotonic_ns = IMAGE_START_NS + i;
        s->live_bytes = i;
    }
    /* Every block points to others, at their starts and inside. */
    for (unsigned i = 0; i < MEMORY_WORDS; i += 3)
        memory[i] = IMAGE_HEAP + i * 56 % (1 << 14);
    image->extra = memory;
    image->extra_address = IMAGE_HEAP - ROOT_BYTES;
    image->extra_bytes = sizeof memory;
    core = image_core_bytes(image, &core_bytes);
    image_free(image);
}

/* Places worth a change: offsets in the core, of headers and records. */
static size_t place(uint32_t choice)
{
    static const unsigned sections[] = {
        MT_SECTION_HEAPS,  MT_SECTION_REGIONS, MT_SECTION_THREADS,
        MT_SECTION_EPOCHS, MT_SECTION_MODULES, MT_SECTION_STACKS,
        MT_SECTION_SPANS,  MT_SECTION_SAMPLES, MT_SECTION_SLICE_MAPS,
        MT_SECTION_TAGS,   MT_SECTION_SCHEMA,  MT_SECTION_COUNTERS,
    };
    size_t region =
        core_bytes - sizeof memory - (4096 + MT_N_SECTIONS * SECTION_BYTES);
    uint32_t which = choice % 16, offset = choice >> 4;

    if (which == 0)
        return core_bytes - 8 - offset % (sizeof memory - 8);
    if (which < 2)
        return offset % 1024; /* ELF header, program headers, notes */
    if (which < 4)
        return region + offset % sizeof(struct mt_root); /* the root */
    return region + 4096 + sections[which - 4] * SECTION_BYTES + offset % 1024;
}

/* Each change is 8 bytes: place (4), what (1), value (3). */
static void change(uint8_t *copy, const uint8_t *step)
{
    static const uint64_t values[] = {
        0,          1,          UINT64_MAX, INT64_MAX, 0x7f1200000000,
        0x80000000, IMAGE_HEAP, 4096,       0xffff,    UINT64_MAX - 4095};
    uint32_t choice;
    uint64_t value, old;
    size_t at;

    memcpy(&choice, step, 4);
    at = place(choice);
    if (at > core_bytes - 8)
        return;
    memcpy(&old, copy + at, 8);
    value = step[5] | step[6] << 8 | (uint64_t)step[7] << 16;
    switch (step[4] % 4) {
    case 0:
        copy[at] = step[5];
        return;
    case 1:
        value = values[value % (sizeof values / sizeof *values)];
        break;
    case 2:
        value = old + (value << 3) - (1 << 20);
        break;
    default:
        value = old ^ (UINT64_C(1) << (step[5] % 64));
    }
    memcpy(copy + at, &value, 8);
}

static bool visit(void *context, const struct mt_block *block)
{
    mt_model_find(context, block->address, NULL);
    return true;
}

static const struct mt_leaks_options leaks_options = {
    .mark = {.scan.heuristics = MT_HEURISTICS_ALL, .threads = 1}, .kinds = 15};

/* The core is read from now on, as one that does not fit the limits is. */
static void fuzz_core_read_file(struct core *core, const char *path)
{
    static struct mt_source_ops unmapped;

    if (core->data == NULL)
        return;
    unmapped = *core->source.ops;
    unmapped.view = NULL;
    unmapped.extent = NULL;
    core->source.ops = &unmapped;
    munmap((void *)core->data, core->bytes);
    core->data = NULL;
    core->file = open(path, O_RDONLY | O_CLOEXEC);
    if (core->file < 0)
        abort();
}

/* Searches the words that a capture of the core keeps, too. */
static void search_kept(const char *path, const struct mt_leaks *leaks)
{
    const struct mt_snapshot_options none = {0};
    struct mt_leaks kept = {0};
    struct mt_error error;
    struct mt_source *source = mt_source_open_core(path, &error);
    struct mt_model *model = NULL;

    if (source == NULL)
        abort();
    fuzz_core_read_file((struct core *)source, path);
    if (!mt_capture_memory(source, &none, &leaks_options.mark.scan, false,
                           &error) ||
        (model = mt_snapshot_take(source, &none, &error)) == NULL)
        abort();
    if (!mt_leaks_run(model, &leaks_options, &kept, &error) ||
        memcmp(kept.sums, leaks->sums, sizeof kept.sums) != 0 ||
        kept.missing_bytes != leaks->missing_bytes)
        abort();
    mt_leaks_free(&kept);
    mt_model_free(model);
    mt_source_free(source);
}

/* One analysis a run: `choice` says which. */
static void analyse(struct mt_model *model, const struct mt_show *show,
                    const char *path, unsigned choice)
{
    const struct mt_retained_options retained_options = {.top = 10};
    const struct mt_diff_options diff_options = {.unchanged = true};
    struct mt_model *models[] = {model, model};
    const struct mt_show *shows[] = {show, show};
    struct mt_retained retained;
    struct mt_leaks leaks;
    struct mt_error error;
    struct mt_diff diff;

    switch (choice % 8) {
    case 0:
        if (mt_leaks_run(model, &leaks_options, &leaks, &error))
            search_kept(path, &leaks);
        mt_leaks_free(&leaks);
        break;
    case 1:
    case 2:
        mt_leaks_run(model, &leaks_options, &leaks, &error);
        mt_leaks_free(&leaks);
        break;
    case 3:
        if (mt_retained_run(model, &retained_options, &retained, &error) &&
            retained.reached.count > retained.live.count)
            abort();
        mt_retained_free(&retained);
        break;
    case 4:
        if (mt_diff_run(models, shows, &diff_options, &diff, &error))
            mt_diff_free(&diff);
        break;
    case 5:
        mt_model_each_block(model, visit, model, NULL, &error);
        break;
    default:
        for (uint64_t i = 0; i < 64; i++)
            mt_model_find(model, IMAGE_HEAP + i * 4097, NULL);
    }
}

static void read_core(const char *path, unsigned choice)
{
    const struct mt_show_options options = {.depth = 2};
    const struct mt_snapshot_options none = {0};
    struct mt_error error = {0};
    struct mt_source *source = mt_source_open_core(path, &error);
    struct mt_model *model =
        source ? mt_snapshot_take(source, &none, &error) : NULL;
    struct mt_show show = {0};

    if (model) {
        if (mt_show_run(model, &options, &show, &error))
            analyse(model, &show, path, choice);
        mt_show_free(&show);
    }
    mt_model_free(model);
    mt_source_free(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int file = -1;
    static char path[64];
    size_t bytes = size;
    uint8_t *copy = NULL;

    if (getenv("MT_FUZZ_FILES")) {
        mt_fuzz_file(data, size);
        return 0;
    }
    if (core == NULL) {
        make_core();
        file = memfd_create("core", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    if (size < 4 || memcmp(data, "\177ELF", 4) != 0) {
        bytes = core_bytes;
        copy = malloc(core_bytes);
        if (copy == NULL)
            abort();
        memcpy(copy, core, core_bytes);
        for (size_t at = 0; at + 8 <= size && at < 8 * 64; at += 8)
            change(copy, data + at);
    }
    if (ftruncate(file, 0) != 0 ||
        pwrite(file, copy ? copy : data, bytes, 0) != (ssize_t)bytes)
        abort();
    read_core(path, size > 0 ? data[size - 1] : 0);
    free(copy);
    return 0;
}
