/* SPDX-License-Identifier: BSD-2-Clause
 *
 * save_at.c - when to write the file of save= because memory runs short.
 *
 * The heap asks whenever it hands out slices.  The limits are looked at after
 * an eighth of what is left was handed out, so that the usage cannot pass the
 * threshold between two looks by memory of the heap.
 */
#include "heap/exit/save_at.h"
#include "heap/alloc.h"
#include "heap/exit/at_exit.h"
#include "heap/exit/memory_limits.h"
#include "heap/raw_print.h"

#include <errno.h>

#define LEAST_STEP (UINT64_C(64) << 10)
#define MOST_STEP (UINT64_C(64) << 20)

static struct {
    uint32_t percent;
    uint64_t bytes;
    uint64_t left; /* to hand out before the next look */
    bool early;    /* a large block was saved for */
    uint32_t busy; /* a thread looks */
} save_at;

void mt_save_at_set(uint32_t percent, uint64_t bytes)
{
    save_at.percent = percent;
    save_at.bytes = bytes;
    mt_save_at_is_set = true;
}

void mt_save_at_arm(void)
{
    save_at.left = 0;
    save_at.early = false;
    save_at.busy = 0;
    mt_save_at_wanted = mt_exit_is_wanted();
    if (mt_save_at_wanted && save_at.percent)
        mt_limits_find();
}

static uint64_t save_at_threshold(uint64_t limit)
{
    return limit / 100 * save_at.percent + limit % 100 * save_at.percent / 100;
}

/* The limit whose threshold is the nearest, and what is left to it; false if
 * there is none. */
static bool save_at_nearest(struct mt_limit_now *nearest, uint64_t *threshold,
                            uint64_t *left)
{
    struct mt_limit_now now;
    *left = UINT64_MAX;
    if (save_at.bytes) {
        *nearest = (struct mt_limit_now){MT_LIMIT_RESIDENT, save_at.bytes,
                                         mt_limits_resident()};
        *threshold = save_at.bytes;
        *left = nearest->usage < *threshold ? *threshold - nearest->usage : 0;
        return true;
    }
    for (unsigned i = 0; mt_limits_get(i, &now); i++) {
        uint64_t at = save_at_threshold(now.limit);
        uint64_t rest = now.usage < at ? at - now.usage : 0;
        if (now.limit == 0 || rest >= *left)
            continue;
        *nearest = now;
        *threshold = at;
        *left = rest;
    }
    return *left != UINT64_MAX;
}

static void save_at_write(const struct mt_limit_now *now)
{
    struct mt_exit_why why = {.kind = now->kind,
                              .limit = now->limit,
                              .usage = now->usage,
                              .resident = mt_limits_resident(),
                              .realtime_ns = mt_os_realtime_ns()};
    mt_exit_write_early((uintptr_t)__builtin_frame_address(0),
                        (uintptr_t)__builtin_return_address(0), &why);
}

static void save_at_decide(uint64_t bytes)
{
    struct mt_limit_now now;
    uint64_t threshold, left, step = MOST_STEP;
    if (save_at_nearest(&now, &threshold, &left)) {
        if (left <= threshold / 128) {
            mt_save_at_wanted = false;
            save_at_write(&now);
            return;
        }
        /* A large block may not be touched; who touches it is gone at once. */
        if (bytes >= left && !save_at.early) {
            save_at.early = true;
            save_at_write(&now);
        }
        step = left / 8;
    }
    step = step < LEAST_STEP ? LEAST_STEP : step;
    mt_store_relaxed(&save_at.left, step < MOST_STEP ? step : MOST_STEP);
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
