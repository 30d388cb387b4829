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

/* Natural logarithm of x in [2^-64, 1]; libm is not ours to link.  x = m 2^e
 * with m in [1, 2), and ln m by the series of atanh: error below 1e-6. */
static double sample_logarithm(double x)
{
    union {
        double value;
        uint64_t bits;
    } u = {.value = x};
    int exponent = (int)(u.bits >> 52) - 1023;
    u.bits = (u.bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1023) << 52;
    double s = (u.value - 1) / (u.value + 1), s2 = s * s;
    double series =
        s * (1 + s2 * (1. / 3 + s2 * (1. / 5 + s2 * (1. / 7 + s2 / 9))));
    return exponent * 0.69314718055994531 + 2 * series;
}

/* xorshift64*, seeded per cache. */
static double sample_uniform(struct mt_cache *cache)
{
    uint64_t x = cache->sample_seed;
    if (x == 0)
        x = ((uint64_t)(uintptr_t)cache ^ mt_os_realtime_ns()) | 1;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    cache->sample_seed = x;
    uint64_t top = (x * UINT64_C(0x2545F4914F6CDD1D)) >> 11; /* 53 bits */
    return (double)(top + 1) / 9007199254740992.;
}

static int64_t sample_distance(struct mt_cache *cache, uint64_t mean)
{
    double d = -sample_logarithm(sample_uniform(cache)) * (double)mean;
    return d < 4e18 ? (int64_t)d + 1 : INT64_MAX / 2;
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
