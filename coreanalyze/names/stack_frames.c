/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stack_frames.c - finds the frame of a thread's stack that an address lies
 * in, from return addresses that follow a call.
 */
#include "coreanalyze/names/stack_frames.h"

#include <string.h>

#define MAX_WORDS 262144u /* 2 MiB of stack */
#define MAX_SEARCH 16384u /* words of one frame */
#define CALL_BYTES 7u     /* the longest call */

struct walk {
    const struct mt_model *model;
    struct mt_variables *variables;
    struct mt_resolver *resolver;
};

static bool read_code(const struct walk *walk, const struct mt_module *module,
                      uint64_t address, uint8_t *code, size_t bytes)
{
    return mt_source_read_part(walk->model->source, address, code, bytes) ==
               bytes ||
           mt_variables_code(walk->variables, module, address, code, bytes);
}

/* First address of the function that a pc is in; 0 if not known. */
static uint64_t function_start(const struct walk *walk, uint64_t pc)
{
    struct mt_pc at = {pc, MT_MODULES_NOW, false};
    struct mt_resolved found = mt_resolve(walk->resolver, &at);
    const struct mt_frame *frame = &found.frames[found.n - 1];

    return frame->function ? pc - frame->offset : 0;
}

enum call { NO_CALL, DIRECT, INDIRECT };

/* Does a call end at `pc`?  `target` is where a direct one leads. */
static enum call call_before(const struct walk *walk,
                             const struct mt_module *module, uint64_t pc,
                             uint64_t *target)
{
    uint8_t code[CALL_BYTES];
    int32_t distance;

    if (!read_code(walk, module, pc - CALL_BYTES, code, sizeof code))
        return NO_CALL;
    if (code[2] == 0xe8) {
        memcpy(&distance, code + 3, sizeof distance);
        *target = pc + (uint64_t)(int64_t)distance;
        return DIRECT;
    }
    /* ff /2: a register, or memory with a displacement of 0, 8 or 32 bits,
     * with or without an index byte. */
    for (unsigned bytes = 2; bytes <= CALL_BYTES; bytes++) {
        const uint8_t *p = code + CALL_BYTES - bytes;
        unsigned mode = p[1] >> 6, rm = p[1] & 7, length = 2;
        if (p[0] != 0xff || (p[1] >> 3 & 7) != 2)
            continue;
        length += mode != 3 && rm == 4;
        length += mode == 1 ? 1 : mode == 2 || (mode == 0 && rm == 5) ? 4 : 0;
        if (length == bytes)
            return INDIRECT;
    }
    return NO_CALL;
}

/* A core may lack the mappings of code; the module's file has them. */
static bool stack_frames_is_code(const struct walk *walk,
                                 const struct mt_module *module, uint64_t pc)
{
    const struct mt_mapping *mapping =
        mt_source_mapping(walk->model->source, pc);
    uint8_t byte;

    return mapping &&
           ((mapping->flags & MT_MAP_EXEC) ||
            mt_variables_code(walk->variables, module, pc, &byte, sizeof byte));
}

/* May `pc` be where the function that `below` is in returns to? */
static bool returns_to(const struct walk *walk, uint64_t pc, uint64_t below)
{
    const struct mt_source *source = walk->model->source;
    const struct mt_module *module = mt_source_module(source, pc);
    uint64_t target, start;

    if (module == NULL || !stack_frames_is_code(walk, module, pc))
        return false;
    switch (call_before(walk, module, pc, &target)) {
    case NO_CALL:
        return false;
    case INDIRECT:
        return true;
    default:
        start = function_start(walk, below);
        /* Another module is called through its PLT. */
        return start == 0 || target == start ||
               mt_source_module(source, below) != module;
    }
}

uint64_t mt_frame_of(const struct mt_model *model,
                     struct mt_variables *variables,
                     struct mt_resolver *resolver,
                     const struct mt_thread *thread, uint64_t address)
{
    const struct walk walk = {model, variables, resolver};
    uint64_t sp = thread->registers[MT_REG_RSP] & ~UINT64_C(7);
    uint64_t pc = thread->registers[MT_REG_RIP], since = sp, word;

    if (!thread->has_registers || address / 8 * 8 + 128 < sp)
        return 0;
    for (unsigned i = 0; i < MAX_WORDS && sp <= address; i++, sp += 8) {
        if (sp - since > MAX_SEARCH * 8 ||
            !mt_source_read(model->source, sp, &word, sizeof word))
            return 0;
        if (returns_to(&walk, word, pc)) {
            pc = word;
            since = sp;
        }
    }
    return sp > address ? pc : 0;
}
