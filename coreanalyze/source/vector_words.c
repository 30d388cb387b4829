/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vector_words.c - finds the words of vector registers that may be addresses.
 */
#include "coreanalyze/source/vector_words.h"
#include "coreanalyze/source/modules.h"
#include "coreanalyze/source/thread_order.h"

#include <string.h>

#define LEAST_ADDRESS 4096u
#define CODE_BYTES 192u /* copying functions store sooner */
#define AVX_END 832u    /* of the upper halves of ymm0 to ymm15 */

/* The kernel has a negative number there if it was not called. */
bool mt_thread_in_user_code(const uint64_t registers[MT_N_REGISTERS])
{
    return (int64_t)registers[MT_REG_ORIG_RAX] < 0;
}

size_t mt_vector_words(const uint8_t *area, size_t from, size_t to,
                       uint32_t tid, struct mt_kernel_word *words, size_t most)
{
    size_t n = 0;

    for (size_t at = from; at + 8 <= to && n < most; at += 8) {
        uint64_t value;
        memcpy(&value, area + at, sizeof value);
        if (value >= LEAST_ADDRESS)
            words[n++] = (struct mt_kernel_word){value, MT_KERNEL_VECTOR, tid,
                                                 (uint32_t)at, false};
    }
    return n;
}

/* Opcodes of the two-byte map; all have the register in `reg` of ModRM. */
static bool is_store(uint8_t opcode)
{
    switch (opcode) {
    case 0x11: /* movups and the like */
    case 0x13: /* movlps */
    case 0x17: /* movhps */
    case 0x29: /* movaps */
    case 0x2b: /* movntps */
    case 0x7e: /* movq to a general register, too */
    case 0x7f: /* movdqu, movdqa */
    case 0xd6: /* movq */
    case 0xe7: /* movntdq */
        return true;
    default:
        return false;
    }
}

/* The register that is stored if an instruction's prefix or escape is at code;
 * -1 if none is.  `before` is the byte before it. */
static int stored_register(const uint8_t *code, size_t bytes, uint8_t before)
{
    if (bytes >= 3 && code[0] == 0x0f && is_store(code[1]))
        return (code[2] >> 3 & 7) | ((before & 0xf4) == 0x44 ? 8 : 0);
    if (bytes >= 4 && code[0] == 0xc5 && is_store(code[2]))
        return (code[3] >> 3 & 7) | (code[1] & 0x80 ? 0 : 8);
    if (bytes >= 5 && code[0] == 0xc4 && (code[1] & 0x1f) == 1 &&
        is_store(code[3]))
        return (code[4] >> 3 & 7) | (code[1] & 0x80 ? 0 : 8);
    if (bytes >= 6 && code[0] == 0x62 && (code[1] & 7) == 1 &&
        is_store(code[4]))
        return (code[5] >> 3 & 7) | (code[1] & 0x80 ? 0 : 8) |
               (code[1] & 0x10 ? 0 : 16);
    return -1;
}

/* Every byte is tried for the start of an instruction: what is found in vain
 * only makes a block possibly lost. */
bool mt_code_stores(const uint8_t *code, size_t bytes, int number)
{
    for (size_t i = 0; i < bytes; i++) {
        int stored =
            stored_register(code + i, bytes - i, i > 0 ? code[i - 1] : 0);
        if (stored >= 0 && (number < 0 || stored == number))
            return true;
    }
    return false;
}

static int register_of(uint32_t place)
{
    if (place < MT_XSAVE_XMM_END)
        return (int)((place - MT_XSAVE_XMM) / 16);
    return place < AVX_END ? (int)((place - MT_XSAVE_REST) / 16) : -1;
}

/* Code that nobody has written to is not in a core, but in its file. */
static bool vectors_read_code(struct mt_source *source, uint64_t address,
                              uint8_t code[CODE_BYTES], size_t *got)
{
    size_t bytes = mt_source_read_part(source, address, code, CODE_BYTES);
    const struct mt_module *module = mt_source_module(source, address);
    struct mt_elf *elf = NULL;
    bool no_memory = false;

    if (bytes == 0 && module && source->process.kind == MT_SOURCE_CORE) {
        elf = mt_module_file(source, module, &no_memory);
        if (no_memory)
            return false;
    }
    /* It may end there. */
    for (size_t n = CODE_BYTES; elf && bytes == 0 && n > 0; n -= 8)
        if (mt_elf_loaded(elf, address - module->load_bias, code, n))
            bytes = n;
    mt_module_file_done(source, elf);
    *got = bytes;
    return true;
}

bool mt_vectors_find_stored(struct mt_source *source)
{
    uint8_t code[CODE_BYTES];
    struct mt_thread_order order = {0};
    size_t bytes = 0;
    uint32_t tid = 0;
    bool ok = source->n_kernel_words == 0 ||
              mt_thread_order_make(&order, source->threads, source->n_threads);

    for (size_t i = 0; ok && i < source->n_kernel_words; i++) {
        struct mt_kernel_word *word = &source->kernel_words[i];
        if (word->kind != MT_KERNEL_VECTOR)
            continue;
        if (word->id != tid) {
            const struct mt_thread *thread =
                mt_thread_order_find(&order, word->id);
            ok = !thread ||
                 vectors_read_code(source, thread->registers[MT_REG_RIP], code,
                                   &bytes);
        }
        tid = word->id;
        word->stored = mt_code_stores(code, bytes, register_of(word->watched));
    }
    mt_thread_order_free(&order);
    return ok;
}
