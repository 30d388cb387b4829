/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sampling: of all bytes allocated, each is picked with the same small
 * probability, and an allocation is traced if one of its bytes is.  The
 * distance to the next picked byte is exponential with the mean that the root
 * says, and memoryless, so that it may be drawn anew after each sample; an
 * allocation of s bytes is traced with probability 1 - exp(-s / mean), and a
 * reader weighs it with the inverse of that (the method of tcmalloc's
 * "Sampling" page).
 */
#include "heap/alloc.h"

/* By integers alone: programs trap floating-point exceptions, or look at their
 * flags.  -log2(x / 2^64) in units of 2^-32, for x > 0: the bits above the
 * highest one, less the fraction that repeated squaring gives bit by bit. */
static uint64_t sample_logarithm(uint64_t x)
{
    unsigned zeros = (unsigned)__builtin_clzll(x);
    unsigned __int128 m = x << zeros; /* in [1, 2), in units of 2^-63 */
    uint64_t fraction = 0;
    for (unsigned bit = 0; bit < 32; bit++) {
        m = m * m >> 63;
        fraction = fraction << 1 | (uint64_t)(m >> 64);
        m >>= (unsigned)(m >> 64);
    }
    return ((uint64_t)(zeros + 1) << 32) - fraction;
}

/* xorshift64*, seeded per cache; never 0. */
static uint64_t sample_random(struct mt_cache *cache)
{
    uint64_t x = cache->sample_seed;
    if (x == 0)
        x = ((uint64_t)(uintptr_t)cache ^ mt_os_realtime_ns()) | 1;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    cache->sample_seed = x;
    return x * UINT64_C(0x2545F4914F6CDD1D) | 1;
}

#define LN_2 UINT64_C(2977044472) /* in units of 2^-32 */
static int64_t sample_distance(struct mt_cache *cache, uint64_t mean)
{
    uint64_t log = sample_logarithm(sample_random(cache)); /* below 2^39 */
    unsigned __int128 d =
        (unsigned __int128)mean * ((unsigned __int128)log * LN_2 >> 32) >> 32;
    return d < INT64_MAX / 2 ? (int64_t)d + 1 : INT64_MAX / 2;
}

bool mt_sample_passes_over(struct mt_cache *cache, size_t size, uint64_t mean)
{
    if (cache->sample_mean != mean) { /* the first, or the rate was changed */
        cache->sample_mean = mean;
        cache->sample_left = sample_distance(cache, mean);
    }
    int64_t bytes = size < INT64_MAX / 2 ? (int64_t)size : INT64_MAX / 2;
    cache->sample_left -= bytes ? bytes : 1;
    if (cache->sample_left > 0)
        return true;
    cache->sample_left = sample_distance(cache, mean);
    return false;
}
