/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reports errors on stderr, and in the root for later readers.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/kernel.h"
#include "heap/capture/stacks.h"
#include "heap/raw_print.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *error_explain(uint32_t kind)
{
    switch (kind) {
    case MT_ERROR_DOUBLE_FREE:
        return "is freed already";
    case MT_ERROR_FOREIGN:
        return "is in no heap";
    case MT_ERROR_INTERIOR:
        return "is inside a block, not its start";
    case MT_ERROR_MISALIGNED:
        return "is where no live block starts";
    case MT_ERROR_FREED:
        return "is a freed block";
    case MT_ERROR_WRITTEN:
        return "is a freed block that was written to, at offset ";
    default:
        return "is damaged";
    }
}

static void error_print_frame(struct mt_print *out, uint64_t pc)
{
    struct mt_section_record *s = &memtrace_root->sections[MT_SECTION_MODULES];
    const struct mt_module_record *m = (void *)s->base;
    size_t n = mt_load_acquire(&s->used) / sizeof *m;
    mt_print(out, "memtrace:     ");
    mt_print_hex(out, pc);
    for (size_t i = n; i-- > 0;)
        if (pc >= m[i].start && pc < m[i].end && m[i].path) {
            mt_print(out, " ");
            mt_print(out,
                     (char *)memtrace_root->sections[MT_SECTION_STRINGS].base +
                         m[i].path);
            mt_print(out, " + ");
            mt_print_hex(out, pc - m[i].load_bias);
            break;
        }
    mt_print(out, "\n");
}

static void print_stack(struct mt_print *out, uint32_t id)
{
    struct mt_section_record *s = &memtrace_root->sections[MT_SECTION_STACKS];
    if (id < MT_STACK_FIRST ||
        id >= mt_load_acquire(&s->used) / sizeof(struct mt_stack_record))
        return;
    uint64_t frames[MT_DEPTH_MAX];
    unsigned n = mt_stacks_frames(id, frames);
    mt_print(out, "memtrace:   last allocated by\n");
    for (unsigned i = 0; i < n; i++)
        error_print_frame(out, frames[i]);
}

/* A handler of SIGABRT that allocates may need us to abort again; the program
 * would then wait for itself. Another thread gives the handler some time. */
#define ABORT_PATIENCE_MS 2000
_Noreturn void mt_abort(void)
{
    static uint32_t aborting; /* the thread that does */
    uint32_t first = 0, self = mt_os_tid();
    if (__atomic_compare_exchange_n(&aborting, &first, self, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        abort();
    const struct timespec moment = {.tv_nsec = 1000000};
    for (unsigned i = 0; first != self && i < ABORT_PATIENCE_MS; i++)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGABRT);
    for (;;) { /* not by abort(), which has a lock */
        sigaction(SIGABRT, &action, NULL);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        mt_kernel(SYS_tgkill, mt_os_pid(), self, SIGABRT);
    }
}

void mt_error(uint32_t kind, const char *who, uintptr_t p, uint64_t tag)
{
    mt_error_at(kind, who, p, tag, 0);
}

void mt_error_at(uint32_t kind, const char *who, uintptr_t p, uint64_t tag,
                 size_t offset)
{
    char line[sizeof memtrace_root->error_text] = "", text[512];
    struct mt_print one = {.text = line, .size = sizeof line - 1};
    struct mt_print out = {
        .text = text, .size = sizeof text, .fd = mt_report_fd()};
    int saved = errno;
    mt_print(&one, who);
    mt_print(&one, ": ");
    mt_print_hex(&one, p);
    mt_print(&one, " ");
    mt_print(&one, error_explain(kind));
    if (kind == MT_ERROR_WRITTEN)
        mt_print_u64(&one, offset);
    if (kind == MT_ERROR_FOREIGN)
        mt_foreign_print(&one);
    mt_print(&out, "memtrace: ");
    mt_print(&out, line);
    mt_print(&out, "\n");
    struct mt_root *root = memtrace_root;
    if (root) {
        __atomic_add_fetch(&root->error_count, 1, __ATOMIC_RELAXED);
        root->error_kind = kind;
        root->error_address = p;
        root->error_stack = MT_TAG_STACK(tag);
        root->error_tid = mt_os_tid();
        memcpy(root->error_text, line, sizeof line);
        print_stack(&out, MT_TAG_STACK(tag));
    }
    mt_print_flush(&out);
    if (mt_config.abort_on_error)
        mt_abort();
    errno = saved;
}

void *mt_out_of_memory(struct memtrace_heap *heap, size_t bytes)
{
    __atomic_add_fetch(&heap->record->failures, 1, __ATOMIC_RELAXED);
    if (mt_config.abort_on_oom) {
        char text[200];
        struct mt_print out = {
            .text = text, .size = sizeof text, .fd = mt_report_fd()};
        mt_print(&out, "memtrace: ");
        mt_print(&out, heap->record->name);
        mt_print(&out, ": out of memory: ");
        mt_print_u64(&out, bytes);
        mt_print(&out, " bytes wanted, ");
        mt_print_u64(&out, heap->record->span_bytes);
        mt_print(&out, " in use");
        if (heap->record->limit) {
            mt_print(&out, ", limit ");
            mt_print_u64(&out, heap->record->limit);
        }
        mt_print(&out, "\n");
        mt_print_flush(&out);
        mt_abort();
    }
    errno = ENOMEM;
    return NULL;
}
