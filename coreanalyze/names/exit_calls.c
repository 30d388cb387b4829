/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exit_calls.c - steps out of exit() and abort().
 *
 * The innermost calls of the C library, the dynamic linker and the traced heap
 * are left together, if one of them is a function that ends the process: of
 * what they hold the program's is only what the calls kept of its registers.
 */
#include "coreanalyze/names/exit_calls.h"
#include "coreanalyze/names/backtrace.h"
#include "coreanalyze/base/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

struct leaving {
    struct mt_resolver *resolver;
    struct mt_source *source;
    bool ends; /* one of the calls ends the process */
};

static bool exit_calls_module(const struct mt_source *source, uint64_t pc)
{
    static const char *const names[] = {"libc.so", "libc-2.",    "ld-linux",
                                        "ld-2.",   "libpthread", "libmemtrace"};
    const struct mt_module *module = mt_source_module(source, pc);
    const char *base = module && module->path ? mt_base_name(module->path) : "";

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(base, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static bool exit_calls_ends(const char *function)
{
    static const char *const names[] = {
        "exit", "quick_exit", "_exit", "_Exit", "abort", "raise", "gsignal"};

    if (strncmp(function, "__GI_", 5) == 0)
        function += 5;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(function, names[i]) == 0)
            return true;
    return false;
}

static bool exit_calls_inside(void *context, const struct mt_call *call)
{
    struct leaving *l = context;
    uint64_t pc = call->exact ? call->pc : call->pc - 1;
    struct mt_pc at = {call->pc, MT_MODULES_NOW, call->exact};
    struct mt_resolved found;

    if (!exit_calls_module(l->source, pc))
        return false;
    found = mt_resolve_brief(l->resolver, &at);
    for (size_t i = 0; i < found.n; i++)
        l->ends |= found.frames[i].function &&
                   exit_calls_ends(found.frames[i].function);
    return true;
}

/* A core that was written at an exit does not have the call.  abort() ends by
 * a signal to its thread, which raise() of glibc before 2.34 blocks until after
 * the call. */
static bool exit_calls_may_be(const struct mt_source *source, size_t thread)
{
    const struct mt_thread *t = &source->threads[thread];
    uint64_t call = t->registers[MT_REG_ORIG_RAX];

    return t->has_registers &&
           (call == SYS_exit_group || call == SYS_tgkill ||
            call == SYS_rt_sigprocmask ||
            (source->process.kind == MT_SOURCE_CORE && thread == 0));
}

struct mt_thread *mt_leave_exit_calls(struct mt_resolver *resolver,
                                      struct mt_source *source)
{
    struct mt_thread *before = NULL;

    for (size_t i = 0; i < source->n_threads; i++) {
        struct leaving l = {resolver, source, false};
        struct mt_thread *thread = &source->threads[i], outside = *thread;
        if (!exit_calls_may_be(source, i) ||
            !mt_unwind_out(resolver, source, thread, exit_calls_inside, &l,
                           outside.registers) ||
            !l.ends)
            continue;
        if (!before) {
            before = calloc(source->n_threads, sizeof *before);
            if (!before) {
                mt_resolver_lacks(resolver);
                return NULL;
            }
            memcpy(before, source->threads, source->n_threads * sizeof *before);
        }
        /* Its red zone is not in use either. */
        outside.registers[MT_REG_ORIG_RAX] = SYS_exit_group;
        *thread = outside;
    }
    return before;
}

void mt_reenter_exit_calls(struct mt_source *source, struct mt_thread *threads)
{
    if (!threads)
        return;
    memcpy(source->threads, threads, source->n_threads * sizeof *threads);
    free(threads);
}
