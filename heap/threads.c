/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Threads come and go; caches stay.  A thread that exits leaves its cache on
 * the idle list, for the next thread, and its spans to a cache that no thread
 * has, the orphans'.  Threads take them from there one by one: when they need
 * blocks of the class, or when they free a block of one. idle_lock guards the
 * list, everything in an idle cache, and the orphans; it is taken before the
 * heap's lock.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/box.h"
#include "heap/debug.h"
#include "heap/kernel.h"
#include "heap/sandbox.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

/* Destructors of other keys may still allocate: let three rounds of them go
 * first (PTHREAD_DESTRUCTOR_ITERATIONS is 4). */
#ifdef __SANITIZE_THREAD__ /* whose own destructor runs in the last round */
#define LATE_ROUNDS 1
#else
#define LATE_ROUNDS 3
#endif

static const uint32_t always_trace = MT_TRACE_ON;
struct mt_cache mt_no_cache = {.trace = &always_trace, .id = UINT32_MAX};
MT_TLS struct mt_cache *mt_tls = &mt_no_cache;
MT_TLS uint32_t mt_tls_id = UINT32_MAX;
static MT_TLS bool exiting; /* the destructor has run its last round */

static struct mt_lock idle_lock;
static struct mt_lock capture_lock; /* first captures of threads */
static struct mt_cache *idle_list;
static struct mt_cache *orphans; /* NULL until a thread leaves spans */
uint32_t mt_orphan_owner;
static bool rebuild_wanted; /* a fork lost threads */

/* --- attach --- */

/* Bytes of a capture state and of what takes it to the end of a page: the
 * memo's slots come next, and would touch a page more.  (Unless another thread
 * takes memory at the same time; no harm is done.) */
static size_t capture_state_bytes(void)
{
    const struct mt_section_record *section =
        &memtrace_root->sections[MT_SECTION_PRIVATE];
    size_t page = memtrace_root->page_bytes;
    uint64_t used = mt_load_relaxed(&section->used);
    return ((used + mt_capture_bytes + page - 1) & ~(page - 1)) - used;
}

/* NULL when out of memory, and in a signal handler that interrupted the
 * making. */
static struct mt_capture *begin_captures(struct mt_cache *cache)
{
    if (cache->capture || cache->capture_begins)
        return cache->capture;
    cache->capture_begins = 1;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    struct mt_capture *capture =
        mt_section_alloc(MT_SECTION_PRIVATE, capture_state_bytes());
    if (capture) {
        mt_lock_acquire(&capture_lock);
        mt_capture_init(capture, mt_thread_record(cache->id));
        mt_lock_release(&capture_lock);
    }
    mt_store_release(&cache->capture, capture);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    cache->capture_begins = 0;
    return capture;
}

uint32_t mt_first_capture(struct mt_cache *cache, size_t size,
                          const struct mt_regs *regs)
{
    struct mt_capture *capture = begin_captures(cache);
    if (capture)
        return mt_capture_hold(capture, regs, size);
    __atomic_fetch_add(&memtrace_root->overflow_allocs, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&memtrace_root->overflow_bytes, size, __ATOMIC_RELAXED);
    return MT_STACK_OVERFLOW;
}

/* --- orphans --- */

/* Lock held. The cache that has them; NULL without memory for it. */
static struct mt_cache *threads_orphanage(void)
{
    struct mt_cache *cache = orphans;
    if (cache == NULL && (cache = mt_cache_new(mt_main, MT_THREAD_HEAP))) {
        mt_store_release(&orphans, cache);
        mt_store_release(&mt_orphan_owner, cache->id);
    }
    return cache;
}

/* Lock held. The cache's thread is gone. Without memory for the orphans' cache
 * the spans stay where they are, for the next thread. */
static void threads_abandon(struct mt_cache *cache)
{
    bool any = cache->full != 0;
    for (uint32_t c = 0; c < MT_N_CLASSES && !any; c++)
        any = cache->bins[c].partial != 0;
    MT_ASSERT(!cache->idle && cache != orphans);
    if (any && threads_orphanage())
        mt_cache_move_all(cache, orphans);
    __atomic_exchange_n(&cache->idle, 1, __ATOMIC_SEQ_CST);
    /* A thread that freed before it saw `idle` left the work to us. */
    mt_cache_drain(cache);
    cache->next_idle = idle_list;
    idle_list = cache;
}

/* A thread that allocated after its last destructor kept its cache, as do all
 * when the program has the key.  The child of a fork that called no handlers
 * has the numbers of its parent's threads: there, all of them would seem dead.
 */
static void find_dead(void)
{
    uint32_t n = mt_thread_count(), pid;
    if (mt_sandbox.level || mt_load_relaxed(&mt_sandbox_any) ||
        (pid = mt_os_pid()) != memtrace_root->pid)
        return;
    for (uint32_t i = 1; i < n; i++) {
        struct mt_thread_record *record = mt_thread_record(i);
        struct mt_cache *cache = mt_cache_of(i);
        if (!cache || mt_load_relaxed(&record->state) != MT_THREAD_LIVE ||
            (mt_thread_has_key() &&
             mt_load_relaxed(&cache->late) <= LATE_ROUNDS))
            continue;
        if (mt_kernel(SYS_tgkill, pid, mt_load_relaxed(&record->tid), 0) == 0 ||
            errno != ESRCH)
            continue;
        mt_store_relaxed(&cache->late, 0);
        mt_store_relaxed(&record->state, MT_THREAD_EXITED);
        mt_cache_trim(cache);
        threads_abandon(cache);
    }
}

static void rebuild_lost(void);

static struct mt_cache *take_idle(void)
{
    mt_lock_acquire(&idle_lock);
    if (rebuild_wanted)
        rebuild_lost();
    if (idle_list == NULL)
        find_dead();
    struct mt_cache *cache = idle_list;
    if (cache) {
        MT_ASSERT(cache->idle && cache != orphans);
        idle_list = cache->next_idle;
        mt_store_release(&cache->idle, 0);
        mt_cache_drain(cache);
    }
    mt_lock_release(&idle_lock);
    return cache;
}

struct mt_cache *mt_cache_get(void)
{
    if (MT_LIKELY(mt_tls != &mt_no_cache))
        return mt_tls;
    MT_ASSERT(mt_started());
    int saved = errno;
    struct mt_cache *cache = take_idle();
    if (cache == NULL)
        cache = mt_cache_new(mt_main, MT_THREAD_LIVE);
    if (cache == NULL)
        return NULL;
    struct mt_thread_record *record = mt_thread_record(cache->id);
    mt_store_relaxed(&record->tid, mt_os_tid());
    record->started_ns = mt_os_monotonic_ns();
    if (!mt_load_relaxed(&mt_sandbox_any)) /* it may not be allowed to ask */
        mt_kernel(SYS_prctl, PR_GET_NAME, record->name);
    mt_store_relaxed(&record->state, MT_THREAD_LIVE);
    mt_store_relaxed(&cache->late, 0);
    mt_ignored_reset(cache);
    mt_tls = cache;
    mt_tls_id = cache->id;
    if (exiting ||
        !mt_thread_key_set(cache)) /* nothing will say that it ends */
        mt_store_relaxed(&cache->late, LATE_ROUNDS + 1);
    errno = saved;
    return cache;
}

/* --- exit --- */

static void on_thread_exit(void *arg)
{
    struct mt_cache *cache = arg;
    if (cache != mt_tls)
        return;
    uint32_t late = mt_load_relaxed(&cache->late) + 1;
    mt_store_relaxed(&cache->late, late);
    if (late <= LATE_ROUNDS && mt_thread_key_set(cache))
        return;
    bool gated = MT_UNLIKELY(mt_box_on);
    exiting = true;
    mt_tls = &mt_no_cache;
    mt_tls_id = UINT32_MAX;
    if (gated)
        mt_box_enter();
    mt_cache_trim(cache);
    if (cache->capture)
        mt_capture_detach(cache->capture);
    if (gated)
        mt_box_leave();
    mt_lock_acquire(&idle_lock);
    mt_store_relaxed(&cache->late, 0);
    mt_store_relaxed(&mt_thread_record(cache->id)->state, MT_THREAD_EXITED);
    threads_abandon(cache);
    mt_lock_release(&idle_lock);
}

bool mt_threads_init(void)
{
    /* Record 0 is nobody's: id 0 means none. */
    if (mt_section_alloc(MT_SECTION_THREADS, sizeof(struct mt_thread_record)) ==
        NULL)
        return false;
    return true;
}

void mt_threads_watch(void)
{
    mt_thread_key_init(on_thread_exit);
}

/* --- idle caches --- */

bool mt_take_orphan(struct mt_cache *cache, uint32_t c)
{
    const struct mt_cache *o = mt_load_acquire(&orphans);
    if (MT_LIKELY(!mt_load_relaxed(&rebuild_wanted)) &&
        (o == NULL || (mt_load_relaxed(&o->bins[c].partial) == 0 &&
                       mt_load_relaxed(&o->pending) == 0)))
        return false;
    mt_lock_acquire(&idle_lock);
    if (rebuild_wanted)
        rebuild_lost();
    if (orphans && mt_load_relaxed(&orphans->pending))
        mt_cache_drain(orphans);
    uint32_t id = orphans ? orphans->bins[c].partial : 0;
    MT_ASSERT(!id || (mt_is_orphan(mt_span_at(id)) &&
                      mt_span_at(id)->size_class == c));
    if (id)
        mt_cache_move(orphans, cache, mt_span_at(id));
    mt_lock_release(&idle_lock);
    return id != 0;
}

bool mt_adopt_orphan(struct mt_cache *cache, mt_span *span)
{
    if (cache == &mt_no_cache)
        return false;
    mt_lock_acquire(&idle_lock);
    if (mt_load_relaxed(&orphans->pending))
        mt_cache_drain(orphans);
    bool ours =
        mt_load_acquire(&span->state) == MT_SPAN_SMALL && mt_is_orphan(span);
    if (ours)
        mt_cache_move(orphans, cache, span);
    mt_lock_release(&idle_lock);
    return ours;
}

void mt_idle_drain(struct mt_cache *cache)
{
    mt_lock_acquire(&idle_lock);
    if (cache->idle && !cache->rebuild)
        mt_cache_drain(cache);
    mt_lock_release(&idle_lock);
}

void mt_idle_trim(void)
{
    mt_lock_acquire(&idle_lock);
    if (rebuild_wanted)
        rebuild_lost();
    for (struct mt_cache *c = idle_list; c; c = c->next_idle)
        mt_cache_drain(c);
    if (orphans)
        mt_cache_trim(orphans);
    mt_lock_release(&idle_lock);
}

/* --- fork --- */

/* The child has one thread.  The others' caches were caught at any point:
 * their lists are void, the bitmaps are not.  They are rebuilt from the spans
 * when somebody wants them; most children exec first. */
void mt_threads_fork_child(struct mt_cache *own)
{
    mt_lock_reset(&idle_lock);
    mt_lock_reset(&capture_lock);
    if (idle_list) /* its page may still be the parent's */
        idle_list = NULL;
    for (uint32_t i = mt_thread_count(); i-- > 1;) {
        struct mt_thread_record *record = mt_thread_record(i);
        struct mt_cache *cache = mt_cache_of(i);
        if (!cache || cache == own || record->state == MT_THREAD_HEAP)
            continue;
        if (!cache->idle) {
            cache->rebuild = 1;
            rebuild_wanted = true;
            cache->capture_begins = 0; /* whose end the lock waited for */
            if (cache->capture)
                mt_capture_detach(cache->capture);
        }
        record->state = MT_THREAD_EXITED;
        cache->idle = 1;
        cache->next_idle = idle_list;
        idle_list = cache;
    }
    if (own != &mt_no_cache)
        mt_thread_record(own->id)->tid = mt_os_tid();
}

static void rebuild_lost(void)
{
    struct mt_section_record *spans =
        &memtrace_root->sections[MT_SECTION_SPANS];
    uint32_t n = (uint32_t)(mt_load_acquire(&spans->used) / sizeof(mt_span));
    rebuild_wanted = false;
    for (struct mt_cache *c = idle_list; c; c = c->next_idle)
        if (c->rebuild) {
            mt_cache_setup(c, mt_main, c->id);
            c->pending = 0;
        }
    for (uint32_t i = 1; i < n; i++) {
        mt_span *span = mt_span_at(i);
        struct mt_cache *owner =
            span->state == MT_SPAN_SMALL ? mt_cache_of(span->owner) : NULL;
        if (!owner || !owner->rebuild)
            continue;
        span->pending = 0;
        mt_cache_adopt(threads_orphanage() ? orphans : owner, span);
    }
    for (struct mt_cache *c = idle_list; c; c = c->next_idle)
        c->rebuild = 0;
}

void mt_threads_fork_prepare(void)
{
    mt_lock_acquire(&idle_lock);
    mt_lock_acquire(&capture_lock);
}

void mt_threads_fork_parent(void)
{
    mt_lock_release(&capture_lock);
    mt_lock_release(&idle_lock);
}
