/* SPDX-License-Identifier: BSD-2-Clause
 *
 * rng.h - the benchmarks' pseudo-random numbers: the same in every run.
 */
#ifndef MT_BENCH_RNG_H
#define MT_BENCH_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state;
};

static inline struct rng rng_start(uint64_t seed)
{
    return (struct rng){seed * UINT64_C(0x9e3779b97f4a7c15) + 1};
}

/* xorshift64*; its high half is the better one. */
static inline uint32_t rng_next(struct rng *rng)
{
    rng->state ^= rng->state >> 12;
    rng->state ^= rng->state << 25;
    rng->state ^= rng->state >> 27;
    return (uint32_t)((rng->state * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

/* 0 to n - 1 */
static inline uint32_t rng_below(struct rng *rng, uint32_t n)
{
    return (uint32_t)(((uint64_t)rng_next(rng) * n) >> 32);
}

#endif
