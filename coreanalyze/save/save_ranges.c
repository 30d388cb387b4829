/* SPDX-License-Identifier: BSD-2-Clause
 *
 * save_ranges.c - which memory a mini-core holds: the trace, the headers and
 * build-ids of modules, the word that points to the trace, and ld.so's list of
 * loaded modules for debuggers.
 */
#include "coreanalyze/base/memory.h"
#include "coreanalyze/source/modules.h"
#include "coreanalyze/save/save.h"

#include <elf.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#define PAGE UINT64_C(4096)
#define MAX_HEADERS 64u
#define MAX_NOTES 2048u
#define MAX_DYNAMIC 65536u
#define MAX_LINKS 65536u

static void save_ranges_add(void *context, uint64_t address, uint64_t bytes)
{
    struct mt_save *save = context;

    if (bytes == 0 || address + bytes < address)
        return;
    if (!mt_grow(&save->ranges, &save->capacity, save->n_ranges + 1,
                 sizeof *save->ranges))
        save->out_of_memory = true;
    else
        save->ranges[save->n_ranges++] = (struct mt_save_range){address, bytes};
}

/* --- modules --- */

static void add_notes(struct mt_save *save, const struct mt_module *module)
{
    Elf64_Ehdr header;
    Elf64_Phdr program;

    if (!mt_source_read(save->source, module->start, &header, sizeof header))
        return;
    for (unsigned i = 0; i < header.e_phnum && i < MAX_HEADERS; i++) {
        if (!mt_source_read(save->source,
                            module->start + header.e_phoff + i * sizeof program,
                            &program, sizeof program))
            return;
        if (program.p_type == PT_NOTE)
            save_ranges_add(save, module->load_bias + program.p_vaddr,
                            program.p_filesz < MAX_NOTES ? program.p_filesz
                                                         : MAX_NOTES);
    }
}

static void add_modules(struct mt_save *save)
{
    struct mt_source *source = save->source;

    for (size_t i = 0; i < source->n_modules; i++) {
        const struct mt_module *module = &source->modules[i];
        uint64_t symbol =
            mt_module_symbol(source, module, "memtrace_root", NULL);
        /* The kernel's own module has no file to read the rest from. */
        bool vdso = module->path && strcmp(module->path, "[vdso]") == 0;
        save_ranges_add(save, module->start,
                        vdso ? module->end - module->start : PAGE);
        add_notes(save, module);
        if (symbol)
            save_ranges_add(save, symbol, sizeof(uint64_t));
    }
}

/* --- ld.so's list, that debuggers find the modules by --- */

static bool save_ranges_find_dynamic(struct mt_source *source,
                                     Elf64_Phdr *dynamic, uint64_t *bias)
{
    uint64_t headers = mt_source_auxv(source, AT_PHDR),
             n = mt_source_auxv(source, AT_PHNUM);
    bool found = false, biased = false;
    Elf64_Phdr program;

    for (uint64_t i = 0; headers && i < n && i < MAX_HEADERS; i++) {
        if (!mt_source_read(source, headers + i * sizeof program, &program,
                            sizeof program))
            return false;
        if (program.p_type == PT_PHDR) {
            *bias = headers - program.p_vaddr;
            biased = true;
        } else if (program.p_type == PT_DYNAMIC) {
            *dynamic = program;
            found = true;
        }
    }
    return found && biased;
}

static void save_ranges_add_links(struct mt_save *save)
{
    struct mt_source *source = save->source;
    uint64_t bias = 0, at, next = 0;
    Elf64_Phdr dynamic = {0};
    Elf64_Dyn entry;
    struct r_debug debug;
    struct link_map link;
    char name[4096];

    if (!save_ranges_find_dynamic(source, &dynamic, &bias) ||
        dynamic.p_memsz > MAX_DYNAMIC)
        return;
    at = bias + dynamic.p_vaddr;
    save_ranges_add(save, at, dynamic.p_memsz);
    for (uint64_t i = 0; i + sizeof entry <= dynamic.p_memsz;
         i += sizeof entry) {
        if (!mt_source_read(source, at + i, &entry, sizeof entry) ||
            entry.d_tag == DT_NULL)
            break;
        if (entry.d_tag != DT_DEBUG ||
            !mt_source_read(source, entry.d_un.d_ptr, &debug, sizeof debug))
            continue;
        save_ranges_add(save, entry.d_un.d_ptr, sizeof debug);
        next = (uintptr_t)debug.r_map;
    }
    for (unsigned i = 0; i < MAX_LINKS && next; i++) {
        if (!mt_source_read(source, next, &link, sizeof link))
            break;
        save_ranges_add(save, next, sizeof link);
        if (mt_source_read_string(source, (uintptr_t)link.l_name, name,
                                  sizeof name))
            save_ranges_add(save, (uintptr_t)link.l_name, strlen(name) + 1);
        next = (uintptr_t)link.l_next;
    }
}

/* --- all --- */

static int save_ranges_by_address(const void *a, const void *b)
{
    const struct mt_save_range *x = a, *y = b;

    return x->address < y->address ? -1 : x->address > y->address;
}

static void save_ranges_join(struct mt_save *save)
{
    size_t kept = 0;

    if (save->n_ranges == 0)
        return;
    qsort(save->ranges, save->n_ranges, sizeof *save->ranges,
          save_ranges_by_address);
    for (size_t i = 1; i < save->n_ranges; i++) {
        struct mt_save_range *last = &save->ranges[kept];
        const struct mt_save_range *r = &save->ranges[i];
        if (r->address > last->address + last->bytes)
            save->ranges[++kept] = *r;
        else if (r->address + r->bytes > last->address + last->bytes)
            last->bytes = r->address + r->bytes - last->address;
    }
    save->n_ranges = kept + 1;
}

bool mt_save_find_ranges(struct mt_save *save)
{
    mt_model_trace_ranges(save->model, save_ranges_add, save);
    add_modules(save);
    save_ranges_add_links(save);
    save_ranges_join(save);
    return !save->out_of_memory;
}
