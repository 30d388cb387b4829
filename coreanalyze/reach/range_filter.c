/* SPDX-License-Identifier: BSD-2-Clause
 *
 * range_filter.c - picks the words that can point into the heap, many at
 * once.
 */
#include "coreanalyze/reach/range_filter.h"

#include <immintrin.h>

void mt_range_filter_plain(const struct mt_clusters *clusters,
                           const uint64_t *words, size_t n, uint64_t *bits)
{
    const struct mt_clusters c = *clusters;

    for (size_t w = 0; w < n; w++, words += 64) {
        uint64_t found = 0;
        for (unsigned i = 64; i-- > 0;) {
            uint64_t word = words[i] & c.keep;
            found = found << 1 | ((word - c.low[0] < c.bytes[0]) |
                                  (word - c.low[1] < c.bytes[1]));
        }
        bits[w] = found;
    }
}

/* Four words at a time.  The processor compares signed numbers alone, so both
 * sides are moved by half of the range. */
__attribute__((target("avx2"))) static void
filter_avx2(const struct mt_clusters *c, const uint64_t *words, size_t n,
            uint64_t *bits)
{
    const uint64_t half = UINT64_C(1) << 63;
    const __m256i keep = _mm256_set1_epi64x((long long)c->keep);
    const __m256i low = _mm256_set1_epi64x((long long)(c->low[0] + half));
    const __m256i more = _mm256_set1_epi64x((long long)(c->low[1] + half));
    const __m256i end = _mm256_set1_epi64x((long long)(c->bytes[0] + half));
    const __m256i more_end =
        _mm256_set1_epi64x((long long)(c->bytes[1] + half));

    for (size_t w = 0; w < n; w++, words += 64) {
        uint64_t found = 0;
        for (unsigned i = 0; i < 64; i += 4) {
            __m256i word = _mm256_and_si256(
                keep, _mm256_loadu_si256((const __m256i *)(words + i)));
            __m256i in = _mm256_or_si256(
                _mm256_cmpgt_epi64(end, _mm256_sub_epi64(word, low)),
                _mm256_cmpgt_epi64(more_end, _mm256_sub_epi64(word, more)));
            found |=
                (uint64_t)(unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(in))
                << i;
        }
        bits[w] = found;
    }
}

void mt_range_filter(const struct mt_clusters *clusters, const uint64_t *words,
                     size_t n, uint64_t *bits)
{
    if (__builtin_cpu_supports("avx2"))
        filter_avx2(clusters, words, n, bits);
    else
        mt_range_filter_plain(clusters, words, n, bits);
}
