/* SPDX-License-Identifier: BSD-2-Clause
 *
 * save_at.c - when to write the files of save= and core= because memory runs
 * short or has grown.
 *
 * The heap asks whenever it hands out slices.  The limits are looked at after
 * an eighth of what is left was handed out, so that the usage cannot pass the
 * threshold between two looks by memory of the heap.
 */
#include "heap/seldom.h"
#include "heap/exit/save_at.h"
#include "heap/alloc.h"
#include "heap/exit/at_exit.h"
#include "heap/exit/memory_limits.h"
#include "heap/raw_print.h"

#include <errno.h>

#define LEAST_STEP (UINT64_C(64) << 10)
#define MOST_STEP (UINT64_C(64) << 20)
#define LEAST_GROWTH (UINT64_C(1) << 20) /* of save_every=+N% */

enum { MINI, CORE, N_FILES };

static struct {
    struct threshold {
        uint32_t percent;
        uint64_t bytes;
        bool wanted; /* the file is not written yet */
        bool early;  /* a large block was saved for */
    } at[N_FILES];
    struct {
        uint32_t percent;
        uint64_t bytes, from; /* resident when the last file was written */
        bool said;
    } every;
    uint64_t left; /* to hand out before the next look */
    uint32_t busy; /* a thread looks */
} save_at;

void mt_save_at_set(bool core, uint32_t percent, uint64_t bytes)
{
    save_at.at[core].percent = percent;
    save_at.at[core].bytes = bytes;
    mt_save_at_is_set = true;
}

void mt_save_every_set(uint32_t percent, uint64_t bytes)
{
    save_at.every.percent = percent;
    save_at.every.bytes = bytes;
    mt_save_at_is_set = true;
}

const char *mt_save_at_lacks(void)
{
    const struct threshold *at = save_at.at;
    bool core = at[CORE].percent || at[CORE].bytes;
    bool every = save_at.every.percent || save_at.every.bytes;
    bool mini = at[MINI].percent || at[MINI].bytes;
    if (every)
        mt_exit_keep_default();
    if (every && !mt_exit_is_wanted(MINI))
        return "save_every";
    if (core && !mt_exit_is_wanted(CORE))
        return "core_at";
    return mini && !mt_exit_is_wanted(MINI) && !mt_exit_is_wanted(CORE)
               ? "save_at"
               : NULL;
}

void mt_save_at_arm(void)
{
    bool any = save_at.every.percent || save_at.every.bytes, share = false;
    for (unsigned i = 0; i < N_FILES; i++) {
        struct threshold *at = &save_at.at[i];
        at->early = false;
        at->wanted = at->percent || at->bytes;
        any |= at->wanted;
        share |= at->percent != 0;
    }
    save_at.left = 0;
    save_at.every.from = 0;
    save_at.every.said = false;
    save_at.busy = 0;
    mt_save_at_wanted = any && mt_save_at_lacks() == NULL;
    if (mt_save_at_wanted && share)
        mt_limits_find();
}

static uint64_t save_at_share(uint64_t limit, uint32_t percent)
{
    return limit / 100 * percent + limit % 100 * percent / 100;
}

/* The limit whose threshold is the nearest, and what is left to it; false if
 * there is none. */
static bool save_at_nearest(const struct threshold *threshold,
                            struct mt_limit_now *nearest, uint64_t *at,
                            uint64_t *left)
{
    struct mt_limit_now now;
    *left = UINT64_MAX;
    if (threshold->bytes) {
        *nearest = (struct mt_limit_now){MT_LIMIT_RESIDENT, threshold->bytes,
                                         mt_limits_resident()};
        *at = threshold->bytes;
        *left = nearest->usage < *at ? *at - nearest->usage : 0;
        return true;
    }
    for (unsigned i = 0; mt_limits_get(i, &now); i++) {
        uint64_t share = save_at_share(now.limit, threshold->percent);
        uint64_t rest = now.usage < share ? share - now.usage : 0;
        if (now.limit == 0 || rest >= *left)
            continue;
        *nearest = now;
        *at = share;
        *left = rest;
    }
    return *left != UINT64_MAX;
}

static void save_at_write(unsigned file, const struct mt_limit_now *now,
                          bool silent)
{
    struct mt_exit_why why = {.kind = now->kind,
                              .silent = silent,
                              .limit = now->limit,
                              .usage = now->usage,
                              .resident = mt_limits_resident(),
                              .realtime_ns = mt_os_realtime_ns()};
    bool core = file == CORE || !mt_exit_is_wanted(MINI);
    mt_exit_write_early(core, (uintptr_t)__builtin_frame_address(0),
                        (uintptr_t)__builtin_return_address(0), &why);
    save_at.every.from = why.resident;
}

/* What may be handed out before the next look. */
static uint64_t save_at_near(unsigned file, uint64_t bytes)
{
    struct threshold *threshold = &save_at.at[file];
    struct mt_limit_now now;
    uint64_t at, left;
    if (!threshold->wanted || !save_at_nearest(threshold, &now, &at, &left))
        return MOST_STEP;
    if (left <= at / 128) {
        threshold->wanted = false;
        save_at_write(file, &now, false);
        return MOST_STEP;
    }
    /* A large block may not be touched; who touches it is gone at once. */
    if (bytes >= left && !threshold->early) {
        threshold->early = true;
        save_at_write(file, &now, false);
    }
    return left / 8;
}

static uint64_t save_at_grown(void)
{
    uint32_t percent = save_at.every.percent;
    uint64_t step = save_at.every.bytes, from = save_at.every.from;
    uint64_t resident = mt_limits_resident();
    if (from == 0)
        from = save_at.every.from = resident;
    if (percent)
        step = save_at_share(from, percent);
    if (percent && step < LEAST_GROWTH)
        step = LEAST_GROWTH;
    if (resident >= from && resident - from >= step) {
        struct mt_limit_now now = {MT_LIMIT_GROWN, from, resident};
        save_at_write(MINI, &now, save_at.every.said);
        save_at.every.said = true;
        return step / 8;
    }
    return (from + step - resident) / 8;
}

static void save_at_decide(uint64_t bytes)
{
    uint64_t step = MOST_STEP;
    bool wanted = save_at.every.percent || save_at.every.bytes;
    for (unsigned i = 0; i < N_FILES; i++) {
        uint64_t near = save_at_near(i, bytes);
        step = near < step ? near : step;
        wanted |= save_at.at[i].wanted;
    }
    if (save_at.every.percent || save_at.every.bytes) {
        uint64_t near = save_at_grown();
        step = near < step ? near : step;
    }
    if (!wanted)
        mt_save_at_wanted = false;
    mt_store_relaxed(&save_at.left, step < LEAST_STEP ? LEAST_STEP : step);
}

void mt_save_at_look(uint64_t bytes)
{
    uint64_t left = mt_load_relaxed(&save_at.left);
    if (bytes < left) {
        mt_store_relaxed(&save_at.left, left - bytes);
        return;
    }
    /* A child of vfork is not the process whose trace this is. */
    if (!mt_started() || memtrace_root->pid != mt_os_pid() ||
        __atomic_exchange_n(&save_at.busy, 1, __ATOMIC_ACQUIRE))
        return;
    int saved = errno;
    if (mt_save_at_wanted)
        save_at_decide(bytes);
    errno = saved;
    __atomic_store_n(&save_at.busy, 0, __ATOMIC_RELEASE);
}
