/* SPDX-License-Identifier: BSD-2-Clause
 *
 * namer.c - names the place that an address lies in: a block, a variable, a
 * frame of a stack, a register.
 */
#include "coreanalyze/names/namer.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/names/frame_text.h"
#include "coreanalyze/names/stack_frames.h"
#include "coreanalyze/names/system_library.h"
#include "coreanalyze/source/vector_words.h"

#include <elf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TCB_BYTES 4096u /* more than any control block has */
#define MAX_HEADERS 64u

static const char *const registers[MT_N_REGISTERS] = {
    "r15",     "r14",      "r13", "r12", "rbp",    "rbx", "r11",
    "r10",     "r9",       "r8",  "rax", "rcx",    "rdx", "rsi",
    "rdi",     "orig_rax", "rip", "cs",  "eflags", "rsp", "ss",
    "fs_base", "gs_base",  "ds",  "es",  "fs",     "gs"};

static void namer_put_thread(FILE *out, const struct mt_namer *namer,
                             uint32_t index)
{
    const struct mt_source *source = namer->model->source;
    const char *name;

    if (index >= source->n_threads) {
        fputs("exited thread", out);
        return;
    }
    fprintf(out, "thread %" PRIu32 " (%" PRIu32, index + 1,
            source->threads[index].tid);
    name = mt_model_name_of(namer->model, &source->threads[index]);
    if (name[0]) {
        putc(' ', out);
        mt_put_text(out, name);
    }
    putc(')', out);
}

/* Bytes of thread-local storage that the module's program headers ask for. */
static uint64_t tls_bytes(struct mt_source *source,
                          const struct mt_module *module)
{
    Elf64_Ehdr header;
    Elf64_Phdr program;

    if (!mt_source_read(source, module->start, &header, sizeof header) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
        return 0;
    for (unsigned i = 0; i < header.e_phnum && i < MAX_HEADERS; i++) {
        if (!mt_source_read(source,
                            module->start + header.e_phoff + i * sizeof program,
                            &program, sizeof program))
            return 0;
        if (program.p_type == PT_TLS)
            return program.p_memsz + program.p_align;
    }
    return 0;
}

/* Static TLS lies just below the control block. */
static bool in_tls(const struct mt_namer *namer, const struct mt_thread *thread,
                   uint64_t address)
{
    struct mt_source *source = namer->model->source;
    uint64_t below = 0;

    if (thread->fs_base == 0 || address >= thread->fs_base + TCB_BYTES)
        return false;
    if (address >= thread->fs_base)
        return true;
    for (size_t i = 0; i < source->n_modules; i++)
        below += tls_bytes(source, &source->modules[i]);
    return thread->fs_base - address <= below;
}

static void namer_put_frame(FILE *out, const struct mt_namer *namer,
                            const struct mt_thread *thread, uint64_t address)
{
    const struct mt_call *call = mt_frame_of(
        namer->frames, namer->resolver, namer->model->source, thread, address);
    struct mt_pc at = {0, MT_MODULES_NOW, false};
    struct mt_resolved found;

    if (call == NULL) {
        fprintf(out, " at sp + 0x%" PRIx64,
                address - thread->registers[MT_REG_RSP]);
        return;
    }
    at.pc = call->pc;
    at.exact = call->exact;
    found = mt_resolve(namer->resolver, &at);
    fputs(" in ", out);
    if (found.frames[found.n - 1].function)
        mt_put_text(out, found.frames[found.n - 1].function);
    else
        mt_put_frame(out, &found.frames[found.n - 1]);
}

static void put_thread_memory(FILE *out, const struct mt_namer *namer,
                              const struct mt_root_range *place,
                              uint64_t address)
{
    const struct mt_source *source = namer->model->source;
    const struct mt_thread *thread = &source->threads[place->index];

    namer_put_thread(out, namer, place->index);
    if (in_tls(namer, thread, address)) {
        if (address >= thread->fs_base)
            fputs(" control block", out);
        else
            fprintf(out, " TLS at fs - 0x%" PRIx64, thread->fs_base - address);
    } else if (place->kind == MT_ROOT_STACK) {
        fputs(" stack", out);
        namer_put_frame(out, namer, thread, address);
    } else {
        fprintf(out, " mapping + 0x%" PRIx64, address - place->start);
    }
}

static void put_variable(FILE *out, const struct mt_namer *namer,
                         const struct mt_module *module, uint64_t address)
{
    const char *name, *file = module->path ? mt_base_name(module->path) : "?";
    uint64_t offset;

    if (mt_variable_at(namer->variables, module, address, &name, &offset)) {
        fputs("global ", out);
        mt_put_text(out, name);
        fputs(" in ", out);
        mt_put_text(out, file);
        if (offset)
            fprintf(out, " + 0x%" PRIx64, offset);
        return;
    }
    fputs("data of ", out);
    mt_put_text(out, file);
    fprintf(out, " at 0x%" PRIx64, address - module->load_bias);
}

static void put_code(FILE *out, const struct mt_namer *namer, uint64_t address)
{
    struct mt_pc at = {address, MT_MODULES_NOW, true};
    struct mt_resolved found = mt_resolve(namer->resolver, &at);

    fputs("code of ", out);
    mt_put_frame(out, &found.frames[found.n - 1]);
}

static void put_mapping(FILE *out, const struct mt_mapping *m, uint64_t address)
{
    const char *access = m->flags & MT_MAP_WRITE  ? "writable"
                         : m->flags & MT_MAP_EXEC ? "executable"
                         : m->flags & MT_MAP_READ ? "read-only"
                                                  : "inaccessible";

    fprintf(out, "%s mapping ", access);
    if (m->path)
        mt_put_text(out, m->path);
    else
        fprintf(out, "at 0x%" PRIx64, m->start);
    fprintf(out, " + 0x%" PRIx64, address - m->start);
}

static void put_address(FILE *out, const struct mt_namer *namer,
                        uint64_t address)
{
    const struct mt_model *model = namer->model;
    const struct mt_source *source = model->source;
    const struct mt_root_range *place = mt_roots_at(namer->roots, address);
    const struct mt_mapping *mapping = mt_source_mapping(source, address);
    const struct mt_module *module = mt_source_module(source, address);
    uint8_t byte;

    if (address - model->root < model->trace_bytes)
        fprintf(out, "trace region + 0x%" PRIx64, address - model->root);
    else if (mapping == NULL)
        fputs("not mapped", out);
    else if (place &&
             (place->kind == MT_ROOT_STACK || place->kind == MT_ROOT_THREAD))
        put_thread_memory(out, namer, place, address);
    else if (module && ((mapping->flags & MT_MAP_EXEC) ||
                        mt_variables_code(namer->variables, module, address,
                                          &byte, sizeof byte)))
        put_code(out, namer, address);
    else if (module)
        put_variable(out, namer, module, address);
    else
        put_mapping(out, mapping, address);
    if (place && place->idle)
        fputs(", in the unused part of a stack", out);
}

/* Ends a name; NULL, and the report lacks it, if memory was short. */
static char *namer_close(const struct mt_namer *namer, FILE *out, char **text)
{
    if (out && fclose(out) == 0)
        return *text;
    mt_resolver_lacks(namer->resolver);
    return NULL;
}

char *mt_name_address(const struct mt_namer *namer, uint64_t address)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    if (out == NULL)
        return namer_close(namer, NULL, NULL);
    put_address(out, namer, address);
    return namer_close(namer, out, &text);
}

char *mt_name_thread(const struct mt_namer *namer, uint32_t index)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    if (out == NULL)
        return namer_close(namer, NULL, NULL);
    namer_put_thread(out, namer, index);
    return namer_close(namer, out, &text);
}

static void put_vector(FILE *out, const struct mt_kernel_word *word)
{
    if (word->watched < MT_XSAVE_XMM_END)
        fprintf(out, "register xmm%" PRIu32,
                (word->watched - MT_XSAVE_XMM) / 16);
    else
        fputs("vector register", out);
    fprintf(out, " of thread %" PRIu32, word->id);
}

static void put_kernel_word(FILE *out, const struct mt_namer *namer,
                            uint32_t index)
{
    const struct mt_source *source = namer->model->source;
    const struct mt_kernel_word *word;

    if (index >= source->n_kernel_words) {
        fputs("the kernel", out);
        return;
    }
    word = &source->kernel_words[index];
    if (word->kind == MT_KERNEL_TIMER)
        fprintf(out, "value of POSIX timer %" PRIu32, word->id);
    else if (word->kind == MT_KERNEL_SIGNAL)
        fprintf(out, "value of a queued signal %" PRIu32, word->watched);
    else if (word->kind == MT_KERNEL_QUEUE)
        fprintf(out, "waits in descriptor %" PRIu32, word->id);
    else if (word->kind == MT_KERNEL_VECTOR)
        put_vector(out, word);
    else
        fprintf(out, "data of descriptor %" PRIu32 " in epoll %" PRIu32,
                word->watched, word->id);
}

char *mt_name_kernel_word(const struct mt_namer *namer, uint32_t index)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    if (out == NULL)
        return namer_close(namer, NULL, NULL);
    put_kernel_word(out, namer, index);
    return namer_close(namer, out, &text);
}

char *mt_name_word(const struct mt_namer *namer,
                   const struct mt_root_range *place)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    if (out == NULL)
        return namer_close(namer, NULL, NULL);
    if (place->kind == MT_ROOT_KERNEL) {
        put_kernel_word(out, namer, place->index);
        return namer_close(namer, out, &text);
    }
    namer_put_thread(out, namer, place->index);
    if (place->kind == MT_ROOT_DTV)
        fputs(" vector of TLS blocks", out);
    else
        fprintf(out, " register %s",
                place->reg < MT_N_REGISTERS ? registers[place->reg] : "?");
    return namer_close(namer, out, &text);
}

uint64_t mt_namer_variable(void *context, uint32_t module, uint64_t address)
{
    const struct mt_namer *namer = context;
    const struct mt_module *m = &namer->model->source->modules[module];
    const char *name;
    uint64_t offset;

    return mt_variable_at(namer->variables, m, address, &name, &offset)
               ? address - offset
               : address;
}

bool mt_namer_library(void *context, uint32_t module)
{
    const struct mt_namer *namer = context;
    const char *path = namer->model->source->modules[module].path;

    return path && mt_module_is_library(path);
}
