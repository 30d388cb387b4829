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
 * A record is valid while its time is not 0, which is written last.  Those that
 * move may be there twice for a moment; readers sort by time.
 */
#include "heap/timeline.h"
#include "heap/alloc.h"
#include "heap/capture/capture.h"
#include "heap/exit/at_exit.h"
#include "heap/sandbox.h"
#include "heap/time_index.h"

#include <errno.h>
#include <fcntl.h>

#define FIRST_NS UINT64_C(100000000) /* what is soon over needs no curve */
#define FIRST_STEP_NS UINT64_C(10000000)
#define RESTS UINT64_C(100) /* times as long as a sample takes */
#define GROUP 32u           /* spans, whose records are a page */
#define MOST_GROUPS ((UINT64_C(1) << 18) / GROUP)

static struct {
    struct mt_sample_record *samples;
    uint32_t n;
    uint32_t busy;  /* a thread takes a sample */
    uint32_t phase; /* which share of the spans comes next */
    bool failed;    /* there is no memory for them */
} timeline;

/* --- live bytes --- */

struct live_sum {
    uint64_t bytes, blocks;
    uint64_t span_bytes; /* of the spans that were looked at */
};

/* The free bits lie in the record or in their section, whoever has the span by
 * now; words that can be read, at most `n`. */
static uint64_t timeline_words(const mt_span *span, uint64_t bits, uint64_t n)
{
    const struct mt_section_record *s =
        &memtrace_root->sections[MT_SECTION_BITMAPS];
    uint64_t end = s->base + mt_load_acquire(&s->committed);
    if (bits - (uintptr_t)span < sizeof *span) {
        end = (uintptr_t)span + sizeof *span;
    } else if (bits < s->base || bits >= end) {
        return 0;
    }
    uint64_t most = (end - bits) / sizeof(uint64_t);
    return n < most ? n : most;
}

static void timeline_count_span(const mt_span *span, struct live_sum *sum)
{
    uint8_t state = mt_load_acquire(&span->state);
    if (state != MT_SPAN_SMALL && state != MT_SPAN_LARGE)
        return;
    uint64_t n_blocks = mt_load_relaxed(&span->n_blocks);
    uint64_t block = mt_load_relaxed(&span->block_bytes), live = 0;
    uint64_t local = mt_load_relaxed(&span->local);
    uint64_t remote = mt_load_relaxed(&span->remote);
    uint64_t words = (n_blocks + 63) / 64;
    words = timeline_words(span, local, words);
    words = timeline_words(span, remote, words);
    for (uint64_t w = 0; w < words; w++) {
        uint64_t left = n_blocks - w * 64;
        uint64_t mask = left < 64 ? (UINT64_C(1) << left) - 1 : UINT64_MAX;
        live += (uint64_t)__builtin_popcountll(
            ~(mt_load_relaxed((const uint64_t *)local + w) |
              mt_load_relaxed((const uint64_t *)remote + w)) &
            mask);
    }
    sum->blocks += live;
    sum->bytes += live * block;
    sum->span_bytes += mt_load_relaxed(&span->n_slices) * MT_SLICE_BYTES;
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

/* value * whole / part, without overflow; part > 0 */
static uint64_t timeline_scale(uint64_t value, uint64_t whole, uint64_t part)
{
    double scaled = (double)value * ((double)whole / (double)part);
    return scaled < 9e18 ? (uint64_t)scaled : value;
}

/* --- resident memory --- */

/* Bytes; 0: not known. */
static uint64_t timeline_resident(void)
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

/* Returns how long it took. */
static uint64_t timeline_take(struct mt_sample_record *sample)
{
    struct live_sum live = {0};
    struct timespec before = {0}, after = {0};
    mt_os_clock(CLOCK_MONOTONIC, &before);
    timeline_heaps(sample);
    uint64_t share = timeline_count(&live);
    if (share > 1 && live.span_bytes) {
        live.bytes =
            timeline_scale(live.bytes, sample->span_bytes, live.span_bytes);
        live.blocks =
            timeline_scale(live.blocks, sample->span_bytes, live.span_bytes);
        sample->flags |= MT_SAMPLE_ESTIMATED;
    }
    sample->live_bytes = live.bytes;
    sample->live_blocks = live.blocks;
    sample->resident = timeline_resident();
    struct mt_capture_totals totals = mt_capture_sum();
    sample->allocs = totals.hits + totals.misses;
    mt_os_clock(CLOCK_MONOTONIC, &after);
    uint64_t start = mt_os_ns(&before), end = mt_os_ns(&after);
    return end > start ? end - start : 0;
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

/* A thread that may make few system calls takes no samples; neither does a
 * child of vfork(), whose memory is another's. */
static void timeline_tick(uint64_t now)
{
    if (mt_sandbox.level != MT_SANDBOX_NONE || !mt_started() ||
        __atomic_exchange_n(&timeline.busy, 1, __ATOMIC_ACQUIRE))
        return;
    int saved = errno;
    if (now >= mt_load_relaxed(&mt_epoch_listen_ns) &&
        memtrace_root->pid == mt_os_pid() && timeline_ready()) {
        struct mt_sample_record sample = {.monotonic_ns = now};
        uint64_t wait = timeline_take(&sample) * RESTS;
        if (timeline.n == MT_SAMPLES)
            timeline_halve();
        timeline_put(&timeline.samples[timeline.n++], &sample);
        if (wait < memtrace_root->sample_step_ns)
            wait = memtrace_root->sample_step_ns;
        mt_store_relaxed(&mt_epoch_listen_ns, now + wait);
    }
    errno = saved;
    __atomic_store_n(&timeline.busy, 0, __ATOMIC_RELEASE);
}

void mt_timeline_start(void)
{
    memtrace_root->sample_step_ns = FIRST_STEP_NS;
    mt_epoch_listen_ns = memtrace_root->start_monotonic_ns + FIRST_NS;
    mt_epoch_listener = timeline_tick;
}

void mt_timeline_fork_child(void)
{
    timeline.busy = 0;
}
