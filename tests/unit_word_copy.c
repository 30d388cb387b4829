/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Kept memory reads as it was, and all other memory as zeros; the filter of
 * ranges finds the words in them.
 */
#include "coreanalyze/reach/range_filter.h"
#include "coreanalyze/source/word_copy.h"
#include "tests/unit.h"

#include <stdlib.h>

#define BASE UINT64_C(0x7f1234567000)
#define PAGES 96u

static uint64_t state = 88172645463325252u;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state >> 3;
}

/* Words of the kinds that pages have, all of them of a few kinds. */
static uint64_t some_word(unsigned page)
{
    switch ((page + next_random() % 3) % 7) {
    case 0:
        return next_random() % 300;
    case 1:
        return BASE + next_random() % 65536;
    case 2:
        return UINT64_C(0x555555554000) + next_random() % (1u << 30);
    case 3:
        return next_random() << 8 | next_random() % 256;
    case 4:
        return MT_STORE_SMALL - 2 + next_random() % 4;
    case 5:
        return 0;
    default:
        return UINT64_MAX - next_random() % 3;
    }
}

struct sample {
    struct mt_word_copy *word_copy;
    uint64_t (*words)[MT_STORE_WORDS], (*bits)[MT_STORE_WORDS / 64];
};

static void make_sample(struct sample *s)
{
    const struct mt_word_copy_piece piece = {
        .start = BASE, .bytes = PAGES * MT_STORE_PAGE - 16};
    struct mt_word_copy_writer writer;

    s->word_copy = mt_word_copy_new(UINT64_C(16) << 20);
    s->words = calloc(PAGES, sizeof *s->words);
    s->bits = calloc(PAGES, sizeof *s->bits);
    CU_ASSERT_TRUE_FATAL(mt_word_copy_pieces(s->word_copy, &piece, 1));
    writer = (struct mt_word_copy_writer){.word_copy = s->word_copy};
    for (unsigned p = 0; p < PAGES; p++) {
        /* None, one, few, many, all. */
        static const unsigned of_1000[] = {0, 2, 40, 126, 300, 900, 1000, 1000};
        for (unsigned w = 0; w < MT_STORE_WORDS; w++) {
            s->words[p][w] = p % 16 == 7 ? UINT64_C(0x1234567800000000) + w % 4
                                         : some_word(p / 8);
            /* A table of 16 columns, of which most are the same in all rows. */
            if (p % 16 == 14)
                s->words[p][w] = w % 16 < 3    ? some_word(p / 8 + 1)
                                 : w % 16 == 9 ? w << 17
                                               : UINT64_C(0x1111) << w % 16;
            if (next_random() % 1000 < of_1000[p % 8])
                s->bits[p][w / 64] |= UINT64_C(1) << w % 64;
        }
        CU_ASSERT_TRUE(mt_word_copy_put(&writer, &s->word_copy->pieces[0], p,
                                        s->words[p], s->bits[p]));
        /* From now on as it must be read. */
        for (unsigned w = 0; w < MT_STORE_WORDS; w++)
            if (!(s->bits[p][w / 64] >> w % 64 & 1))
                s->words[p][w] = 0;
    }
}

static void free_sample(struct sample *s)
{
    mt_word_copy_free(s->word_copy);
    free(s->words);
    free(s->bits);
}

static void reads_back(void)
{
    static uint8_t buffer[5 * 4096];
    struct sample s;
    size_t all = PAGES * MT_STORE_PAGE - 16;

    make_sample(&s);
    for (int i = 0; i < 20000; i++) {
        size_t at = next_random() % all, n = next_random() % sizeof buffer;
        size_t got;
        n = i % 3 ? n % 17 : n;
        got = mt_word_copy_read(s.word_copy, BASE + at, buffer, n);
        CU_ASSERT_EQUAL(got, n < all - at ? n : all - at);
        CU_ASSERT_EQUAL(memcmp(buffer, (char *)s.words + at, got), 0);
    }
    CU_ASSERT_EQUAL(mt_word_copy_read(s.word_copy, BASE - 1, buffer, 8), 0);
    CU_ASSERT_EQUAL(mt_word_copy_read(s.word_copy, BASE + all, buffer, 8), 0);
    free_sample(&s);
}

static void walks(void)
{
    struct sample s;

    make_sample(&s);
    for (unsigned p = 0; p < PAGES; p++) {
        const uint8_t *record = s.word_copy->pieces[0].pages[p];
        unsigned n = 0;
        for (unsigned w = 0; w < 8; w++)
            n += (unsigned)__builtin_popcountll(s.bits[p][w]);
        if (record == NULL) {
            CU_ASSERT_EQUAL(n, 0);
            continue;
        }
        for (unsigned from = 0; from < MT_STORE_WORDS; from++) {
            struct mt_word_copy_walk walk;
            unsigned place = from;
            mt_word_copy_begin(&walk, record, from);
            for (;; mt_word_copy_next(&walk), place++) {
                while (place < MT_STORE_WORDS &&
                       !(s.bits[p][place / 64] >> place % 64 & 1))
                    place++;
                CU_ASSERT_EQUAL(walk.place, place);
                if (walk.place >= MT_STORE_WORDS || walk.place != place)
                    break;
                CU_ASSERT_EQUAL(mt_word_copy_value(&walk), s.words[p][place]);
                if (place > from + 20)
                    break;
            }
        }
    }
    free_sample(&s);
}

/* A page of pointers to near by takes few bytes, and no pages none. */
static void is_small(void)
{
    const struct mt_word_copy_piece piece = {.start = BASE,
                                             .bytes = 100000 * MT_STORE_PAGE};
    struct mt_word_copy *word_copy = mt_word_copy_new(UINT64_C(64) << 20);
    struct mt_word_copy_writer writer = {.word_copy = word_copy};
    uint64_t words[MT_STORE_WORDS], bits[MT_STORE_WORDS / 64] = {0};

    CU_ASSERT_TRUE_FATAL(mt_word_copy_pieces(word_copy, &piece, 1));
    for (unsigned i = 0; i < MT_STORE_WORDS; i++)
        words[i] = BASE + i * 4096;
    for (unsigned i = 0; i < 8; i++)
        bits[i] = 0x0101; /* 16 of them */
    for (unsigned i = 0; i < 100000; i++)
        CU_ASSERT_TRUE(
            mt_word_copy_put(&writer, &word_copy->pieces[0], i, words, bits));
    /* 16 bytes, and 4 for each of 16 words. */
    CU_ASSERT(word_copy->bytes <= 100000 * (16 + 16 * 4) + (UINT64_C(4) << 20));
    mt_word_copy_free(word_copy);
}

/* In rows of 16 words only the bytes that differ take space. */
static void tables_are_small(void)
{
    const struct mt_word_copy_piece piece = {.start = BASE,
                                             .bytes = 10000 * MT_STORE_PAGE};
    struct mt_word_copy *word_copy = mt_word_copy_new(UINT64_C(64) << 20);
    struct mt_word_copy_writer writer = {.word_copy = word_copy};
    uint64_t words[MT_STORE_WORDS], bits[MT_STORE_WORDS / 64], back = 0;

    memset(bits, 0xff, sizeof bits);
    CU_ASSERT_TRUE_FATAL(mt_word_copy_pieces(word_copy, &piece, 1));
    for (unsigned i = 0; i < MT_STORE_WORDS; i++)
        words[i] = i % 16 == 2 ? BASE + i * 64 : i % 16 == 15 ? i : i % 16;
    for (unsigned i = 0; i < 10000; i++)
        CU_ASSERT_TRUE(
            mt_word_copy_put(&writer, &word_copy->pieces[0], i, words, bits));
    /* Two columns of two bytes. */
    CU_ASSERT(word_copy->bytes <= 10000 * (160 + 4 * 32) + (UINT64_C(4) << 20));
    CU_ASSERT_EQUAL(
        mt_word_copy_read(word_copy, BASE + 4096 * 77 + 18 * 8, &back, 8), 8);
    CU_ASSERT_EQUAL(back, BASE + 18 * 64);
    mt_word_copy_free(word_copy);
}

static void is_full(void)
{
    const struct mt_word_copy_piece pieces[2] = {
        {.start = BASE, .bytes = 4096 * MT_STORE_PAGE},
        {.start = BASE + 8192 * MT_STORE_PAGE, .bytes = 8}};
    struct mt_word_copy *word_copy = mt_word_copy_new(UINT64_C(8) << 20);
    struct mt_word_copy_writer writer = {.word_copy = word_copy};
    uint64_t words[MT_STORE_WORDS], bits[MT_STORE_WORDS / 64];
    unsigned n = 0;

    memset(bits, 0xff, sizeof bits);
    CU_ASSERT_TRUE_FATAL(mt_word_copy_pieces(word_copy, pieces, 2));
    mt_word_copy_reserve(word_copy, UINT64_C(100) << 20);
    for (unsigned i = 0; i < MT_STORE_WORDS; i++)
        words[i] = next_random() << 8 ^ next_random();
    while (n < 4096 &&
           mt_word_copy_put(&writer, &word_copy->pieces[0], n, words, bits))
        n++;
    CU_ASSERT(n > 1900 && n < 2048);
    CU_ASSERT(word_copy->bytes <= word_copy->limit);
    CU_ASSERT_EQUAL(mt_word_copy_gap(word_copy, BASE + 5000 * MT_STORE_PAGE),
                    3192 * MT_STORE_PAGE);
    CU_ASSERT_EQUAL(mt_word_copy_gap(word_copy, BASE - 8), 8);
    CU_ASSERT_PTR_EQUAL(
        mt_word_copy_find(word_copy, BASE + 8192 * MT_STORE_PAGE + 7),
        &word_copy->pieces[1]);
    CU_ASSERT_PTR_NULL(
        mt_word_copy_find(word_copy, BASE + 8192 * MT_STORE_PAGE + 8));
    mt_word_copy_free(word_copy);
}

static void picks(void)
{
    static uint64_t words[1024], plain[16], fast[16];
    const struct mt_clusters all[] = {
        {UINT64_MAX, {0x400000, 0x7f0000000000}, {0x100000, 0x100000000}},
        {~(UINT64_C(0xffff) << 48), {4096, UINT64_C(1) << 46}, {1, 4096}},
        {UINT64_MAX, {0, 0}, {0, 0}},
        {UINT64_MAX, {UINT64_MAX - 100, 16}, {101, 16}},
        {UINT64_MAX, {UINT64_C(1) << 63, 0}, {UINT64_C(1) << 62, 1}},
    };

    for (unsigned k = 0; k < sizeof all / sizeof *all; k++) {
        const struct mt_clusters *c = &all[k];
        unsigned wrong = 0;
        for (unsigned i = 0; i < 1024; i++) {
            uint64_t low = c->low[i & 1], n = c->bytes[i & 1];
            /* About the ends of the ranges, and anywhere. */
            words[i] = i % 8 == 0   ? next_random() << 9 ^ next_random()
                       : i % 8 == 1 ? UINT64_C(0xab) << 56 | low
                       : i % 8 < 5  ? low + n - 2 + next_random() % 4
                                    : low - 2 + next_random() % 4;
        }
        mt_range_filter_plain(c, words, 16, plain);
        mt_range_filter(c, words, 16, fast);
        CU_ASSERT_EQUAL(memcmp(plain, fast, sizeof fast), 0);
        for (unsigned i = 0; i < 1024; i++) {
            uint64_t word = words[i] & c->keep;
            bool in = false;
            for (unsigned j = 0; j < 2; j++)
                in |= c->bytes[j] > 0 && word >= c->low[j] &&
                      word <= c->low[j] + (c->bytes[j] - 1);
            wrong += in != (plain[i / 64] >> i % 64 & 1);
        }
        CU_ASSERT_EQUAL(wrong, 0);
    }
}

static const struct unit_test tests[] = {
    {"what is kept reads as it was, the rest as zeros", reads_back},
    {"a walk over a page meets what was kept, from any place on", walks},
    {"pointers take few bytes", is_small},
    {"tables take few bytes", tables_are_small},
    {"a word_copy takes no more than its limit", is_full},
    {"words in two ranges are picked, by both ways", picks},
};
UNIT_MAIN(tests)
