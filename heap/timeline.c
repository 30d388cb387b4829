/* SPDX-License-Identifier: BSD-2-Clause
 *
 * timeline.c - the curve of a process's life: live bytes, memory of the heaps,
 * resident memory and allocations, at up to MT_SAMPLES moments.
 *
 * Samples are taken when an epoch is opened, which is rare and knows the
 * time; there is no thread and no signal.  When all records are in use, of each
 * two the one with more live bytes stays, and the step doubles: so the peaks of
 * the curve survive, and any life has between 256 and 512 samples.
 *
 * Live bytes are counted from the free bits of all spans, without a lock.  A
 * span may be given to others at any time: what is read of its record is
 * checked before it is followed, and a sample can be wrong by what changes
 * while it is taken.  The next one is not before a hundred times as long has
 * passed, and of more than 2^18 spans a share is counted, spread over them.
 *
 * The peak (peak.c) is looked for at each sample, and when the spans have grown
 * by an eighth beyond their most: who takes that span has the next epoch opened
 * at once, which comes here.
 *
 * A record is valid while its time is not 0, which is written last.  Those that
 * move may be there twice for a moment; readers sort by time.
 */
#include "heap/seldom.h"
#include "heap/timeline.h"
#include "heap/alloc.h"
#include "heap/capture/capture.h"
#include "heap/exit/at_exit.h"
#include "heap/kernel.h"
#include "heap/live_words.h"
#include "heap/pages.h"
#include "heap/peak.h"
#include "heap/sandbox.h"
#include "heap/time_index.h"

#include <errno.h>
#include <signal.h>

#define FIRST_NS UINT64_C(100000000) /* what is soon over needs no curve */
#define FIRST_STEP_NS UINT64_C(10000000)
#define FIRST_ALARM (UINT64_C(4) << 20) /* bytes of spans */
#define RESTS UINT64_C(100)             /* times as long as a sample takes */
#define GROUP 32u                       /* spans, whose records are a page */
#define MOST_STACK 1024                 /* bytes, of the thread that it is on */
#define MOST_GROUPS ((UINT64_C(1) << 18) / GROUP)

static struct {
    struct mt_sample_record *samples;
    uint32_t n;
    uint32_t busy;    /* a thread takes a sample */
    uint32_t phase;   /* which share of the spans comes next */
    bool failed;      /* there is no memory for them */
    uint32_t pid;     /* another one: this is a child that had no tick yet */
    uint64_t next_ns; /* when the next sample is due */
    /* The peak that the trace has, when it was taken, and how long that took;
     * the bytes of spans that one is looked for at. */
    uint64_t peak_bytes, peak_end_ns, peak_took_ns, alarm;
} timeline;

/* --- live bytes --- */

struct live_sum {
    uint64_t bytes, blocks;
    uint64_t span_bytes; /* of the spans that were looked at */
};

static void timeline_count_span(const mt_span *span, struct live_sum *sum)
{
    struct mt_live_words v;
    uint64_t live = 0;
    if (!mt_live_words(span, &v))
        return;
    for (uint64_t w = 0; w < v.words; w++)
        live += mt_live_count(mt_live_word(&v, w));
    sum->blocks += live;
    sum->bytes += live * v.block_bytes;
    sum->span_bytes += v.span_bytes;
}

/* One of every so many groups of spans is looked at; returns that number. */
static uint64_t timeline_count(struct live_sum *sum)
{
    uint64_t used =
        mt_load_acquire(&memtrace_root->sections[MT_SECTION_SPANS].used);
    uint64_t n = used / sizeof(mt_span);
    uint64_t groups = (n + GROUP - 1) / GROUP;
    uint64_t share = 1 + groups / (MOST_GROUPS + 1);
    for (uint64_t g = timeline.phase++ % share; g < groups; g += share)
        for (uint64_t id = g * GROUP; id < (g + 1) * GROUP && id < n; id++)
            if (id) /* is not used */
                timeline_count_span(&mt_hot.spans[id], sum);
    return share;
}

/* --- resident memory --- */

/* Bytes; 0: not known. */
static MT_NOINLINE uint64_t timeline_resident(void)
{
    char text[128], *at = text;
    uint64_t pages = 0;
    size_t n = mt_exit_read_file(MT_EXIT_SELF "statm", text, sizeof text - 1);
    text[n] = '\0';
    while (*at && *at != ' ')
        at++;
    for (at += *at == ' '; *at >= '0' && *at <= '9'; at++)
        pages = pages * 10 + (uint64_t)(*at - '0');
    return pages * 4096;
}

/* --- samples --- */

static void timeline_put(struct mt_sample_record *to,
                         const struct mt_sample_record *from)
{
    mt_store_release(&to->monotonic_ns, 0);
    to->live_bytes = from->live_bytes;
    to->live_blocks = from->live_blocks;
    to->span_bytes = from->span_bytes;
    to->committed = from->committed;
    to->resident = from->resident;
    to->allocs = from->allocs;
    to->flags = from->flags;
    mt_store_release(&to->monotonic_ns, from->monotonic_ns);
}

static void timeline_halve(void)
{
    struct mt_sample_record *s = timeline.samples;
    for (uint32_t i = 0; i < MT_SAMPLES / 2; i++) {
        const struct mt_sample_record *pair = &s[(size_t)i * 2];
        bool second = pair[1].live_bytes >= pair[0].live_bytes;
        if (&pair[second] != &s[i])
            timeline_put(&s[i], &pair[second]);
    }
    for (uint32_t i = MT_SAMPLES / 2; i < MT_SAMPLES; i++)
        mt_store_release(&s[i].monotonic_ns, 0);
    timeline.n = MT_SAMPLES / 2;
    memtrace_root->sample_step_ns *= 2;
}

static void timeline_heaps(struct mt_sample_record *sample)
{
    for (uint32_t i = 0; i < MT_MAX_HEAPS; i++) {
        const struct memtrace_heap *heap = mt_heap_at(i);
        if (heap == NULL)
            break;
        if (!(mt_load_relaxed(&heap->record->flags) & MT_HEAP_IN_USE))
            continue;
        sample->span_bytes += mt_load_relaxed(&heap->record->span_bytes);
        sample->committed += mt_load_relaxed(&heap->record->committed);
    }
}

static uint64_t timeline_clock(void)
{
    struct timespec t = {0};
    mt_os_clock(CLOCK_MONOTONIC, &t);
    return mt_os_ns(&t);
}

/* Of the processor: a thread that had to wait for it took no longer. */
static uint64_t timeline_cpu(void)
{
    struct timespec t = {0};
    mt_kernel(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &t);
    return mt_os_ns(&t);
}

static MT_NOINLINE void timeline_take(struct mt_sample_record *sample)
{
    struct live_sum live = {0};
    timeline_heaps(sample);
    uint64_t share = timeline_count(&live);
    if (share > 1 && live.span_bytes) {
        live.bytes =
            mt_live_scale(live.bytes, sample->span_bytes, live.span_bytes);
        live.blocks =
            mt_live_scale(live.blocks, sample->span_bytes, live.span_bytes);
        sample->flags |= MT_SAMPLE_ESTIMATED;
    }
    sample->live_bytes = live.bytes;
    sample->live_blocks = live.blocks;
    struct mt_capture_totals totals = mt_capture_sum();
    sample->allocs = totals.hits + totals.misses;
}

/* There is a ring, or it can be made. */
static bool timeline_ready(void)
{
    if (timeline.samples == NULL && !timeline.failed) {
        timeline.samples = mt_section_alloc(
            MT_SECTION_SAMPLES, MT_SAMPLES * sizeof *timeline.samples);
        timeline.failed = timeline.samples == NULL;
    }
    return timeline.samples != NULL;
}

static MT_NOINLINE void timeline_keep(struct mt_sample_record *sample)
{
    sample->resident = timeline_resident();
    if (timeline.n == MT_SAMPLES)
        timeline_halve();
    timeline_put(&timeline.samples[timeline.n++], sample);
}

/* --- the peak --- */

/* A new peak is taken at every alarm; otherwise when it is an eighth larger
 * than the last, or by less, when a hundred times as long has passed as that
 * took. */
static MT_NOINLINE bool timeline_peak(const struct mt_sample_record *sample,
                                      bool alarmed)
{
    uint64_t live = sample->live_bytes, had = timeline.peak_bytes;
    uint64_t start = timeline_clock(), began = timeline_cpu();
    bool rested = start - timeline.peak_end_ns >= timeline.peak_took_ns * RESTS;
    if (live <= had + (alarmed ? 0 : rested ? had / 64 : had / 8))
        return false;
    const struct mt_peak_now now = {
        .ns = sample->monotonic_ns,
        .live_bytes = live,
        .live_blocks = sample->live_blocks,
        .span_bytes = sample->span_bytes,
        .may_take_ns = (start - timeline.peak_end_ns) / 64,
        .took_ns = timeline.peak_took_ns,
    };
    if (!mt_peak_take(&now))
        return false;
    timeline.peak_bytes = live;
    timeline.peak_end_ns = timeline_clock();
    timeline.peak_took_ns = timeline_cpu() - began;
    return true;
}

/* Sets what the next span is to be compared with: what there was at the last
 * peak or alarm.  A sample in between changes nothing. */
static void timeline_arm(const struct mt_sample_record *sample, bool moves)
{
    uint64_t at = sample->span_bytes + sample->span_bytes / 8;
    if (timeline.alarm < at && (moves || timeline.alarm == 0))
        timeline.alarm = at;
    mt_store_relaxed(&mt_spans_alarm, timeline.alarm);
}

/* The child of a fork is a process that has just started. Most end soon or
 * execute another program, and a peak of all that they share with their parent
 * would cost more than the fork. So neither that nor a sample is due at once,
 * unless the spans have grown as much as a new process may. True: they are not
 * due. */
static bool timeline_rests(uint64_t now)
{
    uint64_t grown = timeline.alarm / 9 * 8 + FIRST_ALARM;
    timeline.pid = memtrace_root->pid;
    timeline.peak_end_ns = now;
    if (timeline.alarm < grown)
        timeline.alarm = grown;
    if (mt_load_relaxed(&mt_spans_total) >= timeline.alarm)
        return false;
    mt_store_relaxed(&mt_spans_alarm, timeline.alarm);
    if (timeline.next_ns < now + FIRST_NS)
        timeline.next_ns = now + FIRST_NS;
    mt_store_relaxed(&mt_epoch_listen_ns, timeline.next_ns);
    return true;
}

/* No handler of a signal may leave this in the middle. */
static MT_NOINLINE void timeline_sample(uint64_t now)
{
    const uint64_t all_signals = UINT64_MAX;
    uint64_t signals;
    int saved = errno;
    mt_kernel(SYS_rt_sigprocmask, SIG_SETMASK, &all_signals, &signals, 8);
    if (!__atomic_exchange_n(&timeline.busy, 1, __ATOMIC_ACQUIRE)) {
        if (memtrace_root->pid == mt_os_pid()) {
            struct mt_sample_record sample = {.monotonic_ns = now};
            bool alarmed = mt_load_relaxed(&mt_spans_alarm) == UINT64_MAX;
            uint64_t began = timeline_cpu();
            timeline_take(&sample);
            uint64_t wait = (timeline_cpu() - began) * RESTS;
            bool moves = sample.allocs && timeline_peak(&sample, alarmed);
            if (now >= timeline.next_ns && timeline_ready()) {
                timeline_keep(&sample);
                if (wait < memtrace_root->sample_step_ns)
                    wait = memtrace_root->sample_step_ns;
                timeline.next_ns = now + wait;
            }
            mt_store_relaxed(&mt_epoch_listen_ns, timeline.next_ns);
            timeline_arm(&sample, moves || alarmed);
        }
        __atomic_store_n(&timeline.busy, 0, __ATOMIC_RELEASE);
    }
    mt_kernel(SYS_rt_sigprocmask, SIG_SETMASK, &signals, NULL, 8);
    errno = saved;
}

/* Is what a sample and a peak take of the stack there?  A coroutine may have
 * little more than malloc needs. */
static bool timeline_fits(void)
{
    const char *here = __builtin_frame_address(0);
    return mt_os_readable(here - MOST_STACK, MOST_STACK);
}

/* A thread that may be allowed few system calls takes no samples; neither does
 * one on a small stack, nor a child of vfork(), whose memory is another's.  The
 * next tick of another does. */
static void timeline_tick(uint64_t now)
{
    if (!mt_sandbox.level && !mt_load_relaxed(&mt_sandbox_any) &&
        mt_started() && !mt_load_relaxed(&timeline.busy) &&
        !(MT_UNLIKELY(timeline.pid != memtrace_root->pid) &&
          timeline_rests(now)) &&
        timeline_fits())
        timeline_sample(now);
}

void mt_timeline_start(void)
{
    memtrace_root->sample_step_ns = FIRST_STEP_NS;
    timeline.pid = memtrace_root->pid;
    timeline.next_ns = memtrace_root->start_monotonic_ns + FIRST_NS;
    mt_spans_alarm = FIRST_ALARM;
    mt_epoch_listen_ns = timeline.next_ns;
    mt_epoch_listener = timeline_tick;
}

void mt_timeline_fork_child(void)
{
    if (timeline.busy) {
        mt_peak_fork_child();
        timeline.busy = 0;
    }
}
