/* SPDX-License-Identifier: BSD-2-Clause
 *
 * backtrace.c - unwinds a thread of a target from outside.
 *
 * Each step needs the row of unwind data for the pc.  For a return address it
 * is the row of the call before it, for an interrupted instruction its own.  A
 * pc outside of all modules comes from a call to a bad address: the caller is
 * the word on top of the stack.
 */
#include "coreanalyze/names/backtrace.h"
#include "coreanalyze/symbols/call_frames.h"

#include <elf.h>
#include <string.h>

#define MAX_SEGMENTS 256u
#define MAX_FRAME ((uint64_t)256 << 20) /* bytes that one frame may take */
#define UCONTEXT_REGISTERS 40u          /* offset of uc_mcontext.gregs */

/* Columns of DWARF in the order of struct user_regs_struct. */
static const uint8_t user_order[MT_N_COLUMNS] = {
    10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0, 16};
/* And in the order of ucontext's gregs. */
static const uint8_t context_order[MT_N_COLUMNS] = {
    13, 12, 14, 11, 9, 8, 10, 15, 0, 1, 2, 3, 4, 5, 6, 7, 16};

struct unwinder {
    struct mt_resolver *resolver;
    struct mt_source *source;
    const struct mt_module *module; /* that `module_bytes` reads */
    struct mt_frame_table table;
    struct mt_frame_state state;
};

static bool unwinder_memory_word(void *context, uint64_t address,
                                 uint64_t *word)
{
    struct unwinder *u = context;

    return mt_source_read(u->source, address, word, sizeof *word);
}

static bool unwinder_module_bytes(void *context, uint64_t address, void *buffer,
                                  size_t bytes)
{
    struct unwinder *u = context;

    return mt_resolver_bytes(u->resolver, u->module, address, buffer, bytes) ||
           mt_source_read(u->source, address + u->module->load_bias, buffer,
                          bytes);
}

/* The address of .eh_frame_hdr in the module's file; false if it has none. */
static bool unwinder_find_header(struct unwinder *u, uint64_t *header)
{
    uint64_t base = u->module->start - u->module->load_bias;
    Elf64_Phdr segments[MAX_SEGMENTS];
    Elf64_Ehdr elf;

    if (!unwinder_module_bytes(u, base, &elf, sizeof elf) ||
        memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 ||
        elf.e_phentsize != sizeof *segments || elf.e_phnum > MAX_SEGMENTS ||
        !unwinder_module_bytes(u, base + elf.e_phoff, segments,
                               elf.e_phnum * sizeof *segments))
        return false;
    for (size_t i = 0; i < elf.e_phnum; i++) {
        *header = segments[i].p_vaddr;
        if (segments[i].p_type == PT_GNU_EH_FRAME)
            return true;
    }
    return false;
}

static uint64_t unwinder_rip(const struct unwinder *u)
{
    return u->state.value[MT_COLUMN_RIP];
}

static uint64_t unwinder_rsp(const struct unwinder *u)
{
    return u->state.value[MT_COLUMN_RSP];
}

static bool unwinder_state_has(const struct unwinder *u, unsigned column)
{
    return u->state.known >> column & 1;
}

/* A signal handler returns to code that restores the registers from the
 * context that the kernel left on the stack. */
static bool unwinder_step_out_of_signal(struct unwinder *u)
{
    uint64_t words[MT_N_COLUMNS];

    if (!mt_source_read(u->source, unwinder_rsp(u) + UCONTEXT_REGISTERS, words,
                        sizeof words))
        return false;
    for (unsigned i = 0; i < MT_N_COLUMNS; i++)
        u->state.value[i] = words[context_order[i]];
    u->state.known = (1u << MT_N_COLUMNS) - 1;
    return true;
}

static bool unwinder_step_by_frame_pointer(struct unwinder *u)
{
    uint64_t words[2], rbp = u->state.value[MT_COLUMN_RBP];

    if (!unwinder_state_has(u, MT_COLUMN_RBP) || rbp < unwinder_rsp(u) ||
        rbp - unwinder_rsp(u) > MAX_FRAME || rbp % 8 != 0 ||
        !mt_source_read(u->source, rbp, words, sizeof words))
        return false;
    u->state.known =
        1u << MT_COLUMN_RBP | 1u << MT_COLUMN_RSP | 1u << MT_COLUMN_RIP;
    u->state.value[MT_COLUMN_RBP] = words[0];
    u->state.value[MT_COLUMN_RSP] = rbp + sizeof words;
    u->state.value[MT_COLUMN_RIP] = words[1];
    return true;
}

/* Unwind as if the bad address had been called just now. */
static bool unwinder_step_out_of_nowhere(struct unwinder *u)
{
    if (!unwinder_memory_word(u, unwinder_rsp(u),
                              &u->state.value[MT_COLUMN_RIP]))
        return false;
    u->state.value[MT_COLUMN_RSP] += 8;
    return true;
}

static bool unwinder_step_by_table(struct unwinder *u, bool exact,
                                   bool *signal_frame)
{
    const struct mt_frame_bytes bytes = {unwinder_module_bytes, u};
    const struct mt_frame_memory memory = {unwinder_memory_word, u};
    uint64_t address = unwinder_rip(u) - u->module->load_bias - (exact ? 0 : 1);
    struct mt_frame_row row = {.signal_frame = false};
    uint64_t header;

    if (!unwinder_find_header(u, &header) ||
        !mt_frame_row_find(&u->table, &bytes, header, address, &row))
        return false;
    *signal_frame = row.signal_frame;
    if (mt_frame_step(&row, &memory, &u->state))
        return true;
    /* The unwind data says that this is the outermost frame, or what it needs
     * is lost: a guess would add nothing that is true. */
    u->state.known = 0;
    return true;
}

/* Replaces the state by the caller's.  `*exact` is about the frame now, and
 * then about the caller. */
static bool unwinder_step(struct unwinder *u, bool *exact, bool *guessed)
{
    bool first = *exact, signal_frame = false;

    u->module = mt_source_module(u->source, *exact ? unwinder_rip(u)
                                                   : unwinder_rip(u) - 1);
    *exact = *guessed = false;
    if (u->module) {
        if (!first && mt_resolve_signal_frame(u->resolver, unwinder_rip(u)))
            return *exact = unwinder_step_out_of_signal(u);
        if (unwinder_step_by_table(u, first, &signal_frame)) {
            *exact = signal_frame;
            return unwinder_state_has(u, MT_COLUMN_RIP) &&
                   unwinder_state_has(u, MT_COLUMN_RSP);
        }
    } else if (first) {
        return unwinder_step_out_of_nowhere(u);
    }
    return *guessed = unwinder_step_by_frame_pointer(u);
}

static void unwinder_begin(struct unwinder *u, const struct mt_thread *thread)
{
    for (unsigned i = 0; i < MT_N_COLUMNS; i++)
        u->state.value[i] = thread->registers[user_order[i]];
    u->state.known = (1u << MT_N_COLUMNS) - 1;
}

/* Without memory for the unwind data, calls are missing. */
static void unwinder_end(struct unwinder *u)
{
    if (u->table.no_memory)
        mt_resolver_lacks(u->resolver);
    mt_frame_table_free(&u->table);
}

bool mt_unwind_out(struct mt_resolver *resolver, struct mt_source *source,
                   const struct mt_thread *thread,
                   bool (*inside)(void *context, const struct mt_call *call),
                   void *context, uint64_t registers[MT_N_REGISTERS])
{
    struct unwinder u = {.resolver = resolver, .source = source};
    struct mt_call call = {.exact = true};
    bool more = thread->has_registers;

    unwinder_begin(&u, thread);
    for (unsigned n = 0; more && n < MT_MAX_CALLS; n++) {
        call.pc = unwinder_rip(&u);
        call.sp = unwinder_rsp(&u);
        if (!inside(context, &call))
            break;
        more = unwinder_step(&u, &call.exact, &call.guessed) && !call.guessed &&
               unwinder_rsp(&u) > call.sp;
    }
    unwinder_end(&u);
    if (call.guessed || (more && inside(context, &call)))
        return false;
    memset(registers, 0, MT_N_REGISTERS * sizeof *registers);
    registers[MT_REG_FS_BASE] = thread->registers[MT_REG_FS_BASE];
    registers[MT_REG_RSP] = call.sp;
    for (unsigned i = 0; more && i < MT_N_COLUMNS; i++)
        registers[user_order[i]] =
            unwinder_state_has(&u, i) ? u.state.value[i] : 0;
    return thread->has_registers;
}

size_t mt_backtrace(struct mt_resolver *resolver, struct mt_source *source,
                    const struct mt_thread *thread, struct mt_call *calls,
                    size_t max)
{
    struct unwinder u = {.resolver = resolver, .source = source};
    bool exact = true, guessed = false, more = thread->has_registers;
    size_t n = 0;

    unwinder_begin(&u, thread);
    while (more && n < max && (unwinder_rip(&u) != 0 || n == 0)) {
        struct mt_call *call = &calls[n++];
        *call = (struct mt_call){unwinder_rip(&u), unwinder_rsp(&u), 0, exact,
                                 guessed};
        more = unwinder_step(&u, &exact, &guessed);
        /* Only a signal may have come on another stack. */
        if (more && !exact && unwinder_rsp(&u) <= call->sp)
            more = false;
        call->end = more ? unwinder_rsp(&u) : 0;
    }
    unwinder_end(&u);
    return n;
}
