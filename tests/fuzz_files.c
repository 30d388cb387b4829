/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fuzz_files.c - the part of the fuzzer of readers that is for files other than
 * plain cores: what users write, what compressors and compilers do.
 */
#include "coreanalyze/analyses/leak_kind.h"
#include "coreanalyze/ci/baseline.h"
#include "coreanalyze/ci/suppress.h"
#include "coreanalyze/source/source.h"
#include "coreanalyze/symbols/symbolize.h"
#include "tests/fuzz_files.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A file with the input, that is read again and again. */
static const char *file_of(const uint8_t *data, size_t size)
{
    static int file = -1;
    static char path[64];

    if (file < 0) {
        file = memfd_create("input", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != (ssize_t)size)
        abort();
    return path;
}

static struct mt_leak_frame frames[3] = {
    {.module = "/usr/lib/libfoo.so.1", .function = "lose", .linkage = "lose"},
    {.module = "/usr/lib/libfoo.so.1",
     .function = "foo::Bar::get",
     .linkage = "_ZN3foo3Bar3getEv",
     .file = "/src/foo.cc",
     .line = 12},
    {.module = "/usr/bin/main", .function = "main"},
};

static void read_suppressions(const uint8_t *data, size_t size)
{
    struct mt_leak leak = {.kind = MT_LEAK_DEFINITE,
                           .count = 1,
                           .bytes = 10,
                           .frames = frames,
                           .n_frames = 3};
    struct mt_suppressions set = {0};
    struct mt_error error = {0};
    FILE *out = fopen("/dev/null", "w");

    if (out == NULL)
        abort();
    if (!mt_suppressions_read(&set, file_of(data, size), &error) &&
        error.text[0] == '\0')
        abort();
    for (int kind = 0; kind < MT_N_LEAK_KINDS; kind++) {
        leak.kind = (enum mt_leak_kind)kind;
        mt_suppress(&set, &leak);
    }
    mt_print_suppressions(&set, out);
    fclose(out);
    mt_suppressions_free(&set);
}

static void read_baseline(const uint8_t *data, size_t size)
{
    struct mt_leak leak = {.kind = MT_LEAK_DEFINITE, .count = 3};
    struct mt_baseline baseline = {0};
    struct mt_error error = {0};
    uint64_t count;

    leak.fingerprint = mt_fingerprint(frames, 3);
    if (mt_baseline_read(&baseline, file_of(data, size), &error))
        mt_baseline_find(&baseline, &leak, &count);
    else if (error.text[0] == '\0')
        abort();
    mt_baseline_free(&baseline);
}

static void read_packed(const uint8_t *data, size_t size)
{
    struct mt_error error = {0};
    struct mt_source *source = mt_source_open_core(file_of(data, size), &error);

    if (source == NULL && error.text[0] == '\0')
        abort();
    mt_source_free(source);
}

/* A module, its links to debug files, and its names. */
static void read_module(const uint8_t *data, size_t size)
{
    static const char *const dirs[] = {"/nonexistent", NULL};
    const struct mt_symbolizer_options options = {.debug_dirs = dirs,
                                                  .no_debuginfod = true};
    struct mt_symbol_module module = {.path = file_of(data, size)};
    struct mt_symbolizer *symbolizer = mt_symbolizer_new(&options);
    enum mt_symbol_quality quality;
    struct mt_symbol_frame found[8];

    if (symbolizer == NULL)
        abort();
    for (uint64_t pc = 0x1000; pc < 0x1400; pc += 0x11)
        mt_symbolize(symbolizer, &module, pc, pc & 1, found, 8, &quality);
    mt_symbolizer_free(symbolizer);
}

void mt_fuzz_file(const uint8_t *data, size_t size)
{
    static void (*const readers[])(const uint8_t *, size_t) = {
        read_suppressions, read_baseline, read_packed, read_module};

    if (size > 0)
        readers[data[0] % 4](data + 1, size - 1);
}
