/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One symbolizer for one target after another: which modules it reads again.
 */
#include "coreanalyze/base/elf_file.h"
#include "coreanalyze/source/module_files.h"
#include "coreanalyze/symbols/symbolize.h"
#include "tests/unit.h"

#include <elf.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/unit_targets.XXXXXX";

static bool run_there(const char *text)
{
    char command[2048];

    snprintf(command, sizeof(command), "(cd %s && %s) </dev/null >/dev/null",
             folder, text);
    return system(command) == 0;
}

static const char *target(void)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/target", folder);
    return path;
}

/* The address of `outer`, whatever its name. */
static uint64_t start_of_outer(void)
{
    char command[512], line[100] = "";

    snprintf(command, sizeof(command), "nm %s/first | grep ' T outer'", folder);
    FILE *file = popen(command, "r");
    if (file == NULL || fgets(line, sizeof(line), file) == NULL)
        line[0] = 0;
    if (file != NULL)
        pclose(file);
    return strtoull(line, NULL, 16);
}

/* The innermost function at `here` of a file, by a build-id or by none. */
static bool ask_target(struct mt_symbolizer *symbolizer, const uint8_t *id,
                       size_t bytes, uint64_t pc, const char *expected)
{
    struct mt_symbol_module module = {
        .path = target(), .build_id = id, .build_id_bytes = bytes};
    struct mt_symbol_frame frame = {0};
    struct mt_symbol_report report;
    size_t n = mt_symbolize(symbolizer, &module, pc, false, &frame, 1, NULL);

    return mt_symbolizer_n_modules(symbolizer) == 1 &&
           mt_symbolizer_report(symbolizer, 0, &report) &&
           (n == 1) == (expected != NULL) &&
           (n == 0 ||
            (frame.function && strcmp(frame.function, expected) == 0));
}

/* One target after another: what is surely the same module is not read again,
 * what has changed is. */
static void next_targets(void)
{
    const char *dirs[] = {"/nonexistent", NULL};
    struct mt_symbolizer_options options = {.debug_dirs = dirs,
                                            .no_debuginfod = true};
    struct mt_symbolizer *symbolizer = mt_symbolizer_new(&options);
    uint8_t id[64];
    const uint8_t *found = NULL;
    size_t bytes = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    CU_ASSERT_FATAL(run_there(
        "echo 'int outer(int x) { return x + 1; } "
        "int main(int n, char **v) { return v && outer(n); }' >a.c && "
        "gcc -O0 -g -Wl,--build-id a.c -o target && "
        "cp target first && sed s/outer/other/g a.c >b.c && "
        "gcc -O0 -g -Wl,--build-id b.c -o second"));
    struct mt_elf *elf = mt_elf_open(target(), NULL);
    CU_ASSERT_FATAL(elf && mt_elf_build_id(elf, &found, &bytes) && bytes <= 64);
    memcpy(id, found, bytes);
    mt_elf_close(elf);
    uint64_t pc = start_of_outer();

    CU_ASSERT(ask_target(symbolizer, id, bytes, pc, "outer"));
    size_t held = mt_symbolizer_memory(symbolizer);
    mt_symbolizer_next_target(symbolizer);
    CU_ASSERT_EQUAL(mt_symbolizer_n_modules(symbolizer), 0);
    CU_ASSERT_EQUAL(mt_symbolizer_memory(symbolizer), held);
    CU_ASSERT(ask_target(symbolizer, id, bytes, pc, "outer"));
    CU_ASSERT_EQUAL(mt_symbolizer_memory(symbolizer), held);
    /* Written over in place, and back. */
    CU_ASSERT(run_there("cat second >target"));
    mt_symbolizer_next_target(symbolizer);
    CU_ASSERT(ask_target(symbolizer, id, bytes, pc, NULL));
    CU_ASSERT(run_there("cat first >target"));
    mt_symbolizer_next_target(symbolizer);
    CU_ASSERT(ask_target(symbolizer, id, bytes, pc, "outer"));
    CU_ASSERT(run_there("rm target"));
    mt_symbolizer_next_target(symbolizer);
    CU_ASSERT(ask_target(symbolizer, id, bytes, pc, NULL));
    /* By its path alone a module is read again for each. */
    CU_ASSERT(run_there("cp first target"));
    mt_symbolizer_next_target(symbolizer);
    CU_ASSERT(ask_target(symbolizer, NULL, 0, pc, "outer"));
    CU_ASSERT(run_there("mv second target"));
    mt_symbolizer_next_target(symbolizer);
    CU_ASSERT(ask_target(symbolizer, NULL, 0, pc, "other"));
    mt_symbolizer_free(symbolizer);
    CU_ASSERT(run_there("rm -f target first second a.c b.c"));
    rmdir(folder);
}

static bool same_bytes(const struct mt_elf *elf, const char *other)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/%s", folder, other);
    struct mt_elf *file = mt_elf_open(path, NULL);
    bool same = elf && file && elf->bytes == file->bytes &&
                memcmp(elf->data, file->data, file->bytes) == 0;

    mt_elf_close(file);
    return same;
}

static bool is_noted(const struct mt_module_files *files,
                     const struct mt_elf *elf)
{
    uint64_t value = 0;

    return mt_module_files_symbol(files, elf, "one", &value) && value == 5 &&
           !mt_module_files_symbol(files, elf, "two", &value) &&
           mt_module_files_lacks(files, elf, 7) &&
           !mt_module_files_lacks(files, elf, 8);
}

/* A file that stays open is the one at its path, at each time; and what is
 * noted of it is not said of another one. */
static void open_files(void)
{
    struct mt_module_files *files = mt_module_files_new();
    struct mt_elf *elf, *again;
    uint64_t value;

    strcpy(folder, "/tmp/unit_targets.XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    CU_ASSERT_FATAL(run_there("echo 'int one;' >a.c && gcc -c a.c -o first && "
                              "echo 'int two[9];' >a.c && "
                              "gcc -c a.c -o second && cp first target"));
    elf = mt_module_files_open(files, target(), NULL);
    CU_ASSERT(same_bytes(elf, "first"));
    CU_ASSERT_FALSE(mt_module_files_symbol(files, elf, "one", &value));
    mt_module_files_note(files, elf, "one", 5);
    mt_module_files_note_lack(files, elf, 7);
    mt_module_files_close(files, elf);
    again = mt_module_files_open(files, target(), NULL);
    CU_ASSERT_PTR_EQUAL(again, elf);
    CU_ASSERT(is_noted(files, again));
    mt_module_files_close(files, again);
    CU_ASSERT(run_there("cp second new && mv new target"));
    elf = mt_module_files_open(files, target(), NULL);
    CU_ASSERT(same_bytes(elf, "second"));
    CU_ASSERT_FALSE(mt_module_files_symbol(files, elf, "one", &value));
    CU_ASSERT_FALSE(mt_module_files_lacks(files, elf, 7));
    CU_ASSERT_FALSE(mt_module_files_lacks(NULL, elf, 7));
    mt_module_files_close(files, elf);
    CU_ASSERT(run_there("rm target"));
    CU_ASSERT_PTR_NULL(mt_module_files_open(files, target(), NULL));
    CU_ASSERT(run_there("cp first target"));
    elf = mt_module_files_open(files, target(), NULL);
    CU_ASSERT(same_bytes(elf, "first"));
    mt_module_files_close(files, elf);
    /* One target sees no change, the next one does. */
    mt_module_files_next_target(files);
    again = mt_module_files_open(files, target(), NULL);
    CU_ASSERT_PTR_EQUAL(again, elf);
    CU_ASSERT(run_there("cp second new && mv new target"));
    CU_ASSERT_PTR_EQUAL(mt_module_files_open(files, target(), NULL), elf);
    mt_module_files_next_target(files);
    CU_ASSERT(
        same_bytes(mt_module_files_open(files, target(), NULL), "second"));
    mt_module_files_free(files);
    /* Without a place for them, each use opens and closes. */
    elf = mt_module_files_open(NULL, target(), NULL);
    CU_ASSERT(same_bytes(elf, "second"));
    mt_module_files_close(NULL, elf);
    CU_ASSERT(run_there("rm -f target first second new a.c"));
    rmdir(folder);
}

static const struct unit_test tests[] = {
    {"modules are kept from target to target, unless they change",
     next_targets},
    {"files of modules stay open, unless they change", open_files},
};

UNIT_MAIN(tests)
