/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The core source: tables, compressed files, and files that are not cores.
 */
#include "coreanalyze/source/source.h"
#include "tests/trace_image.h"
#include "tests/unit.h"

#include <elf.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct image *image;
static struct plan plan;

static void reads_notes(void)
{
    struct mt_error error = {0};
    struct mt_source *source;
    const struct mt_mapping *m;

    image = image_planned(&plan);
    source = mt_source_open_core(image_core(image, 0), &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(source);
    CU_ASSERT_EQUAL(source->process.pid, IMAGE_PID);
    CU_ASSERT_EQUAL(source->process.signal, 6);
    CU_ASSERT_STRING_EQUAL(source->process.name, "planned");
    CU_ASSERT_STRING_EQUAL(source->process.command, "planned --run");
    CU_ASSERT_EQUAL(source->process.path[0], '/');
    CU_ASSERT_EQUAL(source->n_threads, 1);
    CU_ASSERT_EQUAL(source->threads[0].tid, IMAGE_PID);
    CU_ASSERT_EQUAL(source->threads[0].registers[MT_REG_RSP],
                    0x1111111111111111);
    m = mt_source_mapping(source, IMAGE_HEAP + 5);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_STRING_EQUAL(m->path, "/nowhere/mapped");
    CU_ASSERT_EQUAL(m->file_offset, 3 * 4096);
    CU_ASSERT_EQUAL(m->present, 0);
    CU_ASSERT_EQUAL(source->coverage.missing_bytes, 0);
    mt_source_free(source);
    image_free(image);
}

static void reads_parts(void)
{
    struct mt_error error = {0};
    struct mt_source *source;
    uint8_t buffer[64];

    image = image_planned(&plan);
    source = mt_source_open_core(image_core(image, 0), &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(source);
    /* Segments without bytes in the file are missing, not zero. */
    CU_ASSERT_EQUAL(mt_source_read_part(source, IMAGE_HEAP, buffer, 8), 0);
    CU_ASSERT_EQUAL(mt_source_read_part(source, IMAGE_BASE + image->size - 16,
                                        buffer, sizeof buffer),
                    16);
    CU_ASSERT(!mt_source_read(source, IMAGE_BASE + image->size - 16, buffer,
                              sizeof buffer));
    CU_ASSERT_EQUAL(mt_source_read_part(source, UINT64_MAX - 3, buffer, 8), 0);
    mt_source_free(source);
    image_free(image);
}

/* However the file is stored, the bytes are the same. */
static void decompresses(void)
{
    static const char *const tools[] = {"zstd -q -c", "xz -0 -c", "lz4 -q -c"};
    const char *core;
    char packed[80], command[256];
    struct stat status;
    unsigned done = 0;

    image = image_planned(&plan);
    core = image_core(image, 0);
    snprintf(packed, sizeof packed, "%s.packed", core);
    for (unsigned i = 0; i < 3; i++) {
        struct mt_error error = {0};
        struct mt_source *source;
        uint8_t *bytes = malloc(image->size);
        snprintf(command, sizeof command, "%s %s >%s 2>/dev/null", tools[i],
                 core, packed);
        if (system(command) != 0) {
            free(bytes);
            continue;
        }
        done++;
        source = mt_source_open_core(packed, &error);
        CU_ASSERT_PTR_NOT_NULL_FATAL(source);
        CU_ASSERT(mt_source_read(source, IMAGE_BASE, bytes, image->size));
        CU_ASSERT_EQUAL(memcmp(bytes, image->bytes, image->size), 0);
        CU_ASSERT_EQUAL(source->coverage.missing_bytes, 0);
        mt_source_free(source);
        /* Cut off: what there is of it. */
        CU_ASSERT_EQUAL(stat(packed, &status), 0);
        CU_ASSERT_EQUAL(truncate(packed, status.st_size / 2), 0);
        source = mt_source_open_core(packed, &error);
        CU_ASSERT(source == NULL || source->coverage.missing_bytes > 0);
        mt_source_free(source);
        free(bytes);
    }
    unlink(packed);
    image_free(image);
    if (done == 0)
        unit_skip("there is none of zstd, xz and lz4 here");
}

static bool refused(const char *path, const char *word)
{
    struct mt_error error = {0};
    struct mt_source *source = mt_source_open_core(path, &error);
    bool ok = source == NULL && strstr(error.text, word) &&
              strchr(error.text, '\n') == NULL && error.status == 1;

    if (!ok)
        printf("  %s: %s\n", path, source ? "opened" : error.text);
    mt_source_free(source);
    return ok;
}

static void refuses(void)
{
    CU_ASSERT(refused("/nowhere", "cannot open"));
    CU_ASSERT(refused("/dev/null", "is not a file"));
    CU_ASSERT(refused("/tmp", "is not a file"));
    CU_ASSERT(refused("/proc/self/exe", "is not a core"));
    CU_ASSERT(refused("/etc/passwd", "is not an ELF file"));
}

/* Changes the program headers of a core, and opens it. */
static struct mt_source *open_changed(void (*change)(Elf64_Phdr *program))
{
    const char *path = image_core(image, 0);
    struct mt_error error = {0};
    Elf64_Ehdr header;
    Elf64_Phdr program[3];
    FILE *file = fopen(path, "r+");

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL(fread(&header, sizeof header, 1, file), 1);
    CU_ASSERT_EQUAL(fread(program, sizeof *program, 3, file), 3);
    change(program);
    fseek(file, sizeof header, SEEK_SET);
    CU_ASSERT_EQUAL(fwrite(program, sizeof *program, 3, file), 3);
    fclose(file);
    return mt_source_open_core(path, &error);
}

static void overlap(Elf64_Phdr *program)
{
    program[1].p_vaddr = IMAGE_BASE + 8192;
    program[1].p_offset = 0;
    program[1].p_filesz = program[1].p_memsz = 1 << 20;
}

static void wrap(Elf64_Phdr *program)
{
    program[1].p_vaddr = UINT64_MAX - 4096;
    program[1].p_memsz = UINT64_MAX;
    program[1].p_filesz = UINT64_MAX;
    program[1].p_offset = UINT64_MAX - 8;
}

static void hostile_segments(void)
{
    struct mt_source *source;
    uint8_t buffer[16384];

    image = image_planned(&plan);
    source = open_changed(overlap);
    CU_ASSERT_PTR_NOT_NULL_FATAL(source);
    for (size_t i = 1; i < source->n_mappings; i++)
        CU_ASSERT(source->mappings[i].start >= source->mappings[i - 1].end);
    CU_ASSERT(mt_source_read(source, IMAGE_BASE, buffer, sizeof buffer));
    CU_ASSERT_EQUAL(memcmp(buffer, image->bytes, sizeof buffer), 0);
    mt_source_free(source);
    source = open_changed(wrap);
    CU_ASSERT_PTR_NOT_NULL_FATAL(source);
    CU_ASSERT_EQUAL(
        mt_source_read_part(source, UINT64_MAX - 4096, buffer, 4096), 0);
    CU_ASSERT(mt_source_read(source, IMAGE_BASE, buffer, sizeof buffer));
    mt_source_free(source);
    image_free(image);
}

static const struct unit_test tests[] = {
    {"notes become process, threads and files", reads_notes},
    {"what is missing is not read", reads_parts},
    {"compressed cores are the same cores", decompresses},
    {"what is no core is refused in one line", refuses},
    {"overlapping and wrapping segments", hostile_segments},
};
UNIT_MAIN(tests)
