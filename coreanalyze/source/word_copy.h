/* SPDX-License-Identifier: BSD-2-Clause
 *
 * word_copy.h - what an analysis wants of a target's memory, as of one moment:
 * of most pages a few words, which are the pointers; of others all.
 *
 * Memory is read once, in order; a page of which nothing is wanted takes 8
 * bytes, and a wanted word one byte for its place and as many for its value as
 * the values of its page differ in.  Words that are not kept read as 0.  While
 * it is filled, each piece of work has a writer of its own; a copy that is
 * complete does not change, and is read by any number of threads.
 */
#ifndef MT_WORD_COPY_H
#define MT_WORD_COPY_H

#include <emmintrin.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MT_STORE_PAGE UINT64_C(4096)
#define MT_STORE_WORDS 512u /* of a page */
#define MT_STORE_SMALL UINT64_C(65536)

/* Memory that the word copy covers: [start, start + bytes). */
struct mt_word_copy_piece {
    uint64_t start, bytes; /* start: a multiple of 8 */
    const uint8_t **pages; /* records by page of the piece; NULL: all 0 */
};

struct mt_word_copy {
    struct mt_word_copy_piece *pieces; /* by address, no overlaps */
    size_t n_pieces;
    const uint8_t **table; /* of all pieces' pages */
    uint64_t table_bytes;
    pthread_mutex_t lock;
    struct mt_word_copy_chunk *chunks; /* of memory for records */
    uint8_t *reserved;                 /* the same, in one piece, or NULL */
    uint64_t reserved_bytes, used_bytes;
    uint64_t bytes, limit; /* that all records take, and may take */
};

/* A word copy that takes at most `limit` bytes for records; NULL when out of
 * memory. */
struct mt_word_copy *mt_word_copy_new(uint64_t limit);
void mt_word_copy_free(struct mt_word_copy *); /* takes NULL */
/* Reserves up to `bytes` of memory, as far as the system has it, before it is
 * needed; and gives back what was not used. */
void mt_word_copy_reserve(struct mt_word_copy *word_copy, uint64_t bytes);
void mt_word_copy_trim(struct mt_word_copy *word_copy);
/* Names the pieces of memory that the copy is for, by start and bytes; called
 * once.  False when out of memory. */
bool mt_word_copy_pieces(struct mt_word_copy *word_copy,
                         const struct mt_word_copy_piece *pieces, size_t n);

/* Memory for the records of one thread. */
struct mt_word_copy_writer {
    struct mt_word_copy *word_copy;
    uint8_t *at, *end;
};
/* Keeps the words whose bits are set of a page of a piece.  May be called by
 * several threads at once, for different pages.  False: no memory is left. */
bool mt_word_copy_put(struct mt_word_copy_writer *writer,
                      struct mt_word_copy_piece *piece, uint64_t page,
                      const uint64_t words[MT_STORE_WORDS],
                      const uint64_t bits[MT_STORE_WORDS / 64]);

/* The piece that holds an address, or NULL. */
const struct mt_word_copy_piece *
mt_word_copy_find(const struct mt_word_copy *word_copy, uint64_t address);
/* From an address in no piece, how far it is to the next one. */
uint64_t mt_word_copy_gap(const struct mt_word_copy *word_copy,
                          uint64_t address);
/* Copies memory; bytes from the start that the piece around `address` has. */
size_t mt_word_copy_read(const struct mt_word_copy *word_copy, uint64_t address,
                         void *buffer, size_t bytes);

/* --- records: made for loops over the words that were kept --- */

/* The values of a page are, by `form`:
 * - MT_RECORD_LIST: the low bytes of their places, those of the lower half of
 *   the page first, and then the values;
 * - MT_RECORD_BITS: a bit for each word, and then the values;
 * - MT_RECORD_WHOLE: all words, byte by byte: those bytes that are not the
 *   same in all words, each of 512 words;
 * - MT_RECORD_COLUMNS: the same for tables whose rows are 16 words: 16 bytes,
 *   one for each column, the bits of those of its bytes that differ; 16 words,
 *   of the others; and the bytes that differ, each of 32 rows.
 * A value of `width` bytes below MT_STORE_SMALL stands for itself; others are
 * counted from the base. */
enum {
    MT_RECORD_LIST,
    MT_RECORD_BITS,
    MT_RECORD_WHOLE,
    MT_RECORD_COLUMNS,
};
#define MT_STORE_COLUMNS 16u
#define MT_STORE_ROWS (MT_STORE_WORDS / MT_STORE_COLUMNS)
struct mt_word_copy_record {
    uint64_t base; /* whole: the bytes that are the same */
    uint16_t n;    /* words */
    uint8_t form;
    uint8_t width; /* whole: bits of the bytes that differ */
    uint8_t low;   /* list: words in the lower half */
    uint8_t free_[3];
};

/* A walk over the words of a page that were kept, from a place on. */
struct mt_word_copy_walk {
    struct mt_word_copy_record head;
    const uint8_t *places, *values;
    uint64_t mask;
    unsigned index, place; /* of the current word; place >= 512: none */
};

/* A word of a record in columns. */
uint64_t mt_word_copy_cell(const uint8_t *columns, unsigned place);

static inline uint64_t mt_word_copy_value(const struct mt_word_copy_walk *walk)
{
    uint64_t value = 0;

    if (walk->head.form == MT_RECORD_COLUMNS)
        return mt_word_copy_cell(walk->values, walk->place);
    if (walk->head.form != MT_RECORD_WHOLE) {
        /* Chunks have room for this after the last record. */
        memcpy(&value, walk->values + (size_t)walk->index * walk->head.width,
               sizeof value);
        value &= walk->mask;
        return value < MT_STORE_SMALL ? value : value + walk->head.base;
    }
    value = walk->head.base;
    for (unsigned i = 0, k = 0; i < 8; i++)
        if (walk->head.width >> i & 1)
            value |= (uint64_t)walk->values[k++ * MT_STORE_WORDS + walk->place]
                     << (8 * i);
    return value;
}

/* Sets the place by the index, or by the next bit. */
static inline void mt_word_copy_settle(struct mt_word_copy_walk *walk,
                                       unsigned from)
{
    uint64_t bits;

    if (walk->head.form == MT_RECORD_LIST) {
        walk->place = walk->index < walk->head.n
                          ? walk->places[walk->index] +
                                (walk->index < walk->head.low ? 0u : 256u)
                          : MT_STORE_WORDS;
        return;
    }
    if (walk->head.form >= MT_RECORD_WHOLE) {
        walk->place = from;
        return;
    }
    for (unsigned w = from / 64; w < MT_STORE_WORDS / 64; w++) {
        memcpy(&bits, walk->places + w * 8, 8);
        if (w == from / 64)
            bits &= UINT64_MAX << from % 64;
        if (bits) {
            walk->place = w * 64 + (unsigned)__builtin_ctzll(bits);
            return;
        }
    }
    walk->place = MT_STORE_WORDS;
}

static inline void mt_word_copy_next(struct mt_word_copy_walk *walk)
{
    walk->index++;
    mt_word_copy_settle(walk, walk->place + 1);
}

/* The first of the places [i, end), which ascend, that is not below `low`;
 * sixteen are compared at once.  Chunks have room for what is read after the
 * last. */
static inline unsigned mt_word_copy_seek(const uint8_t *places, unsigned i,
                                         unsigned end, unsigned low)
{
    const __m128i least = _mm_set1_epi8((char)low);

    for (; i < end; i += 16) {
        __m128i some = _mm_loadu_si128((const __m128i *)(places + i));
        int not_below =
            _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(some, least), some));
        if (not_below) {
            i += (unsigned)__builtin_ctz((unsigned)not_below);
            return i < end ? i : end;
        }
    }
    return end;
}

/* Begins with the first word at or after the place. */
static inline void mt_word_copy_begin(struct mt_word_copy_walk *walk,
                                      const uint8_t *record, unsigned place)
{
    const struct mt_word_copy_record *head = &walk->head;
    unsigned i = 0;

    memcpy(&walk->head, record, sizeof walk->head);
    walk->places = record + sizeof walk->head;
    walk->values = walk->places;
    walk->mask =
        head->width < 8 ? (UINT64_C(1) << 8 * head->width) - 1 : UINT64_MAX;
    if (head->form == MT_RECORD_LIST) {
        walk->values += head->n;
        i = place < 256 ? mt_word_copy_seek(walk->places, 0, head->low, place)
                        : mt_word_copy_seek(walk->places, head->low, head->n,
                                            place % 256);
    } else if (head->form == MT_RECORD_BITS) {
        uint64_t bits[MT_STORE_WORDS / 64];
        walk->values += sizeof bits;
        memcpy(bits, walk->places, sizeof bits);
        for (unsigned w = 0; w < place / 64; w++)
            i += (unsigned)__builtin_popcountll(bits[w]);
        if (place % 64)
            i += (unsigned)__builtin_popcountll(bits[place / 64] &
                                                ~(UINT64_MAX << place % 64));
    }
    walk->index = i;
    mt_word_copy_settle(walk, place);
}

#endif
