/* SPDX-License-Identifier: BSD-2-Clause
 *
 * crash.c - explains a signal that ended a process.
 *
 * The thread is the one that the signal was delivered to, with the registers
 * that it had then.  Its stack is unwound from outside.
 */
#include "coreanalyze/check/crash.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/check/policy.h"
#include "coreanalyze/names/backtrace.h"
#include "coreanalyze/names/short_name.h"
#include "coreanalyze/reports/print_rows.h"
#include "coreanalyze/source/memory_use.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define NEAR_NULL 65536u
#define FIRST_FRAMES 30u /* that text shows */
#define LAST_FRAMES 4u
#define LEAST_COLUMNS 24u /* for a frame, however narrow the line */
#define MAX_DISTANCE                                                           \
    65536u /* bytes after a block that are still "after" it                    \
            */

struct cause {
    int signal, code;
    const char *text;
};
static const struct cause causes[] = {
    {SIGSEGV, SEGV_MAPERR, "no memory at address"},
    {SIGSEGV, SEGV_ACCERR, "access not permitted at address"},
    {SIGBUS, BUS_ADRALN, "misaligned access at address"},
    {SIGBUS, BUS_ADRERR, "no memory at address"},
    {SIGBUS, BUS_OBJERR, "hardware error at address"},
    {SIGFPE, FPE_INTDIV, "integer division by zero at address"},
    {SIGFPE, FPE_INTOVF, "integer overflow at address"},
    {SIGFPE, FPE_FLTDIV, "division by zero at address"},
    {SIGFPE, FPE_FLTOVF, "overflow at address"},
    {SIGFPE, FPE_FLTUND, "underflow at address"},
    {SIGFPE, FPE_FLTRES, "inexact result at address"},
    {SIGFPE, FPE_FLTINV, "invalid operation at address"},
    {SIGILL, ILL_ILLOPC, "illegal instruction at address"},
    {SIGILL, ILL_ILLOPN, "illegal operand at address"},
};

static void crash_set_cause(const struct mt_exit_signal *from,
                            struct mt_crash *crash)
{
    bool sent = from->code <= 0;

    if (from->code == SI_KERNEL && from->signal == SIGSEGV)
        crash->cause = "the address is not one that the processor accepts";
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
        if (causes[i].signal == from->signal && causes[i].code == from->code) {
            crash->cause = causes[i].text;
            crash->has_address = true;
            crash->address = from->address;
        }
    if (sent && from->signal != SIGABRT && mt_crash_is_fault(from->signal))
        crash->cause = "sent by a process";
}

/* What memory the process has, which the kernel has not taken yet. */
static void crash_set_killed(struct mt_findings *findings,
                             const struct mt_exited *exited,
                             struct mt_crash *crash)
{
    char path[64], line[128], *text = NULL;
    uint64_t anonymous = 0, files = 0, shared = 0;
    size_t bytes = 0;
    FILE *file, *out;

    crash->cause = "the OOM killer ended a process during the check";
    snprintf(path, sizeof path, "/proc/%d/status", (int)exited->reader);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        (void)(sscanf(line, "RssAnon: %" SCNu64, &anonymous) == 1 ||
               sscanf(line, "RssFile: %" SCNu64, &files) == 1 ||
               sscanf(line, "RssShmem: %" SCNu64, &shared) == 1);
    if (file)
        fclose(file);
    out = mt_memory_is_reaped(exited->reader) ? NULL
                                              : open_memstream(&text, &bytes);
    if (out) {
        fputs("its memory: ", out);
        mt_put_size(out, anonymous << 10);
        fputs(" anonymous, ", out);
        mt_put_size(out, files << 10);
        fputs(" of files, ", out);
        mt_put_size(out, shared << 10);
        fputs(" shared", out);
        fclose(out);
    }
    crash->place = mt_findings_text(findings, text);
    free(text);
}

/* How much of it the heap has. */
static void crash_explain_killed(struct mt_findings *findings,
                                 const struct mt_model *model,
                                 struct mt_crash *crash)
{
    uint64_t heap = 0;
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);

    if (out == NULL)
        return;
    for (uint32_t i = 0; i < model->n_heaps; i++)
        if (model->heaps[i].in_use)
            heap += model->heaps[i].span_bytes;
    fputs(crash->place, out);
    fputs("; the heap has ", out);
    mt_put_size(out, heap);
    fclose(out);
    crash->place = mt_findings_text(findings, text);
    free(text);
}

static const struct mt_thread *crash_thread(const struct mt_source *source,
                                            uint32_t tid)
{
    for (size_t i = 0; i < source->n_threads; i++)
        if (source->threads[i].tid == tid)
            return &source->threads[i];
    return NULL;
}

/* Keeps the program's own frames, and the library function that the first of
 * them called.  A stack without any is kept as it is, to the thread's start. */
static void crash_set_brief(struct mt_findings *findings,
                            const struct mt_frame *frames, size_t n,
                            struct mt_crash *crash)
{
    size_t first = mt_frame_own(frames, n), capacity = 0;
    bool all = first == n;

    crash->own = !all && first > 0;
    for (size_t i = all ? 0 : first - crash->own; i < n; i++) {
        enum mt_frame_kind kind = mt_frame_kind(&frames[i]);
        if (kind == MT_FRAME_START && i > 0)
            break;
        if (!all && i > first && kind == MT_FRAME_LIBRARY)
            continue;
        mt_policy_frame(findings, &frames[i], &crash->brief, &crash->n_brief,
                        &capacity);
    }
}

static void crash_unwind(struct mt_findings *findings,
                         struct mt_resolver *resolver, struct mt_source *source,
                         const struct mt_thread *thread, struct mt_crash *crash)
{
    struct mt_call calls[MT_MAX_CALLS];
    size_t n = mt_backtrace(resolver, source, thread, calls, MT_MAX_CALLS);
    size_t capacity = 0, brief_capacity = 0, n_brief = 0;
    struct mt_frame *brief = NULL;

    for (size_t i = 0; i < n; i++) {
        struct mt_pc at = {calls[i].pc, MT_MODULES_NOW, calls[i].exact};
        struct mt_resolved found = mt_resolve(resolver, &at);
        for (size_t j = 0; j < found.n; j++)
            mt_policy_frame(findings, &found.frames[j], &crash->frames,
                            &crash->n_frames, &capacity);
        found = mt_resolve_brief(resolver, &at);
        if (!mt_grow(&brief, &brief_capacity, n_brief + found.n,
                     sizeof *brief)) {
            findings->out_of_memory = true;
            break;
        }
        for (size_t j = 0; j < found.n; j++)
            brief[n_brief++] = found.frames[j];
    }
    crash_set_brief(findings, brief, n_brief, crash);
    free(brief);
}

void mt_crash_find(struct mt_findings *findings, struct mt_resolver *resolver,
                   struct mt_source *source, const struct mt_exited *exited,
                   struct mt_crash *crash)
{
    const struct mt_thread *thread = NULL;

    crash->signal = source->process.signal;
    crash->core = mt_crash_is_fault(crash->signal);
    if (crash->signal == 0)
        return;
    if (exited == NULL && source->n_threads > 0)
        thread = &source->threads[0];
    else if (exited && exited->signal.signal == crash->signal) {
        thread = crash_thread(source, exited->signal.tid);
        crash_set_cause(&exited->signal, crash);
    }
    if (exited && exited->oom && crash->signal == SIGKILL)
        crash_set_killed(findings, exited, crash);
    if (thread == NULL)
        return;
    crash->tid = thread->tid;
    if (thread->name[0])
        crash->thread = mt_findings_text(findings, thread->name);
    if (crash->core)
        crash_unwind(findings, resolver, source, thread, crash);
}

/* A function's name as people say it. */
static void crash_put_name(FILE *out, const char *function)
{
    char *name = mt_short_name(function);

    mt_put_text(out, name ? name : function);
    free(name);
}

/* --- what is at the address --- */

/* The destination of the frames of a block's stack. */
struct allocation {
    FILE *out;
    unsigned n;
};

static void put_allocation_frame(void *context, const struct mt_frame *frame)
{
    struct allocation *a = context;

    if (a->n++ >= 3 || frame->function == NULL)
        return;
    fputs(a->n == 1 ? " " : " < ", a->out);
    crash_put_name(a->out, frame->function);
    if (frame->file && frame->line) {
        fputs(" (", a->out);
        mt_put_text(a->out, mt_base_name(frame->file));
        fprintf(a->out, ":%u)", frame->line);
    }
}

static void crash_put_block(FILE *out, struct mt_resolver *resolver,
                            struct mt_model *model,
                            const struct mt_block *block, uint64_t address)
{
    struct mt_report report = {
        .model = model, .resolver = resolver, .out = out};
    uint64_t end = block->address + block->bytes;
    struct mt_show_row row = {.heap = block->heap,
                              .stack = block->stack,
                              .oldest_epoch = block->epoch,
                              .newest_epoch = block->epoch,
                              .depth = model->stacks[block->stack].depth};
    struct allocation a = {.out = out};

    if (address >= end)
        fprintf(out, "%" PRIu64 " bytes after", address - end);
    else if (address > block->address)
        fprintf(out, "%" PRIu64 " bytes inside", address - block->address);
    else
        fputs("the start of", out);
    fprintf(out, " a %s of %" PRIu64 " bytes at 0x%" PRIx64,
            block->live ? "block" : "freed block", block->bytes,
            block->address);
    if (block->stack < MT_ID_FIRST)
        return;
    fputs(block->live ? ", allocated by" : ", last allocated by", out);
    mt_report_frames(&report, &row, put_allocation_frame, &a);
}

/* The block that ends before the address, closest to it. */
static bool crash_block_before(struct mt_model *model, uint64_t address,
                               struct mt_block *block)
{
    const uint64_t steps[] = {1, 16, 4096, MAX_DISTANCE};

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        uint64_t at = (address & -steps[i]) - 1;
        enum mt_address_kind kind = mt_model_find(model, at, block);
        if (kind == MT_PLACE_LIVE || kind == MT_PLACE_FREED)
            return address - at <= MAX_DISTANCE;
    }
    return false;
}

static void crash_put_outside(FILE *out, const struct mt_source *source,
                              const struct mt_crash *crash)
{
    const struct mt_mapping *m = mt_source_mapping(source, crash->address);
    const struct mt_thread *thread = crash_thread(source, crash->tid);
    uint64_t sp =
        thread && thread->has_registers ? thread->registers[MT_REG_RSP] : 0;

    if (crash->address < NEAR_NULL)
        fputs("a null pointer, or a member of what one points to", out);
    else if (sp && crash->address - (sp - NEAR_NULL) < 2 * NEAR_NULL &&
             (m == NULL || !(m->flags & MT_MAP_WRITE)))
        fputs("at the end of the thread's stack: it is full", out);
    else if (m && m->path && !(m->flags & MT_MAP_WRITE)) {
        fputs("in ", out);
        mt_put_text(out, m->path);
        fputs(", which is not writable", out);
    } else if (m && m->path) {
        fputs("in ", out);
        mt_put_text(out, m->path);
    } else if (m)
        fputs("in a mapping without this access", out);
    else
        fputs("outside of all mappings", out);
}

static void crash_put_place(FILE *out, struct mt_resolver *resolver,
                            struct mt_model *model,
                            const struct mt_crash *crash)
{
    struct mt_block block;
    enum mt_address_kind kind = mt_model_find(model, crash->address, &block);

    if (kind == MT_PLACE_LIVE || kind == MT_PLACE_FREED ||
        (crash->address >= NEAR_NULL &&
         crash_block_before(model, crash->address, &block)))
        crash_put_block(out, resolver, model, &block, crash->address);
    else if (kind == MT_PLACE_OUTSIDE)
        crash_put_outside(out, model->source, crash);
    else
        fputs("memory of the heap that is not in use: never handed out, or "
              "freed and given back",
              out);
}

/* The heap's own functions stand for what the program called, which begins the
 * text of its error: "free(): ...". */
static void crash_name_call(struct mt_findings *findings, const char *error,
                            struct mt_crash *crash)
{
    char name[64];
    size_t n = strcspn(error, "(:");
    struct mt_leak_frame *called = crash->own > 0 ? crash->brief : NULL;

    if (!called || !called->module || n == 0 || n >= sizeof name ||
        strncmp(mt_base_name(called->module), "libmemtrace", 11) != 0)
        return;
    memcpy(name, error, n);
    name[n] = 0;
    called->function = mt_findings_text(findings, name);
}

void mt_crash_explain(struct mt_findings *findings,
                      struct mt_resolver *resolver, struct mt_model *model,
                      struct mt_crash *crash)
{
    bool by_heap = crash->signal == SIGABRT && model->last_error.count > 0 &&
                   model->last_error.text[0];
    size_t bytes = 0;
    char *text = NULL;
    FILE *out;

    if (crash->signal == SIGKILL && crash->place)
        crash_explain_killed(findings, model, crash);
    if (!crash->core || (!crash->has_address && !by_heap) ||
        crash->signal == SIGFPE || crash->signal == SIGILL)
        return;
    out = open_memstream(&text, &bytes);
    if (out == NULL)
        return;
    if (by_heap) {
        crash_name_call(findings, model->last_error.text, crash);
        fputs("the heap's last error: ", out);
        mt_put_text(out, model->last_error.text);
    } else {
        fprintf(out, "0x%" PRIx64 " is ", crash->address);
        crash_put_place(out, resolver, model, crash);
    }
    if (fclose(out) == 0)
        crash->place = mt_findings_text(findings, text);
    free(text);
}

/* --- reports --- */

static void crash_put_full(const struct mt_leak_frame *f, bool first, FILE *out)
{
    fputs(first ? "    at " : "    by ", out);
    if (f->function)
        mt_put_text(out, f->function);
    else
        fprintf(out, "0x%" PRIx64, f->pc);
    if (f->inlined)
        fputs(" (inlined)", out);
    if (f->file && f->line) {
        fputs(" at ", out);
        mt_put_text(out, f->file);
        fprintf(out, ":%u", f->line);
    } else if (f->module) {
        fputs(" in ", out);
        mt_put_text(out, f->module);
        fprintf(out, " + 0x%" PRIx64, f->module_offset);
    }
    putc('\n', out);
}

/* The frame as rows of reports print theirs. */
static struct mt_frame crash_frame(const struct mt_leak_frame *f)
{
    return (struct mt_frame){.pc = f->pc,
                             .module = f->module,
                             .module_offset = f->module_offset,
                             .function = f->function,
                             .file = f->file,
                             .line = f->line,
                             .inlined = f->inlined};
}

static void crash_put_brief(const struct mt_findings_process *p, size_t i,
                            const struct mt_style *style, FILE *out)
{
    const struct mt_crash *crash = &p->crash;
    const struct mt_report report = {.out = out, .style = style};
    struct mt_frame frame = crash_frame(&crash->brief[i]), called;
    bool title = i == crash->own;
    size_t indent = title ? 4 : 6, columns = SIZE_MAX / 2, used;

    if (style->width > 0)
        columns = style->width > indent + LEAST_COLUMNS ? style->width - indent
                                                        : LEAST_COLUMNS;
    if (frame.function && frame.module && p->exe &&
        strcmp(frame.module, p->exe) == 0)
        frame.module = NULL; /* needs no mention */
    fprintf(out, "%*s", (int)indent, "");
    used = mt_print_frame(&report, &frame, columns, title);
    if (title && i > 0) {
        called = crash_frame(&crash->brief[i - 1]);
        mt_print_callee(&report, &called, used, columns, (int)indent);
    }
    putc('\n', out);
}

void mt_crash_print(const struct mt_findings_process *p,
                    const struct mt_style *style, FILE *out)
{
    const struct mt_crash *crash = &p->crash;
    size_t first = style->full ? 0 : crash->own;
    size_t n = style->full ? crash->n_frames : crash->n_brief;

    if (crash->place)
        fprintf(out, "  %s\n", crash->place);
    for (size_t i = first; i < n; i++) {
        /* An endless recursion: its start and its end say it. */
        if (i == first + FIRST_FRAMES && n > i + LAST_FRAMES) {
            size_t left = n - i - LAST_FRAMES;
            fprintf(out, "    ... %zu more frames\n", left);
            i += left - 1;
        } else if (style->full) {
            crash_put_full(&crash->frames[i], i == 0, out);
        } else {
            crash_put_brief(p, i, style, out);
        }
    }
}

static void crash_json_frames(struct mt_json *json, const char *key,
                              const struct mt_leak_frame *frames, size_t n)
{
    mt_json_open(json, key, '[');
    for (size_t i = 0; i < n; i++) {
        const struct mt_leak_frame *f = &frames[i];
        mt_json_open(json, NULL, '{');
        mt_json_address(json, "pc", f->pc);
        mt_json_string(json, "function", f->function);
        mt_json_string(json, "module", f->module);
        mt_json_string(json, "file", f->file);
        mt_json_u64(json, "line", f->line);
        mt_json_bool(json, "inlined", f->inlined);
        mt_json_close(json, '}');
    }
    mt_json_close(json, ']');
}

void mt_crash_json(const struct mt_crash *crash, struct mt_json *json)
{
    if (crash->signal == 0)
        return;
    mt_json_open(json, "crash", '{');
    mt_json_u64(json, "signal", (uint64_t)crash->signal);
    mt_json_bool(json, "fault", crash->core);
    mt_json_string(json, "cause", crash->cause);
    if (crash->has_address)
        mt_json_address(json, "address", crash->address);
    mt_json_string(json, "place", crash->place);
    mt_json_u64(json, "tid", crash->tid);
    mt_json_string(json, "thread", crash->thread);
    mt_json_string(json, "called",
                   crash->own > 0 ? crash->brief[0].function : NULL);
    if (crash->n_brief > 0)
        crash_json_frames(json, "own_frames", &crash->brief[crash->own],
                          crash->n_brief - crash->own);
    crash_json_frames(json, "frames", crash->frames, crash->n_frames);
    mt_json_close(json, '}');
}
