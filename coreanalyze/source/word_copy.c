/* SPDX-License-Identifier: BSD-2-Clause
 *
 * word_copy.c - chunks that records lie in, and their making.
 */
#include "coreanalyze/source/word_copy.h"
#include "coreanalyze/base/search.h"

#include <stdlib.h>
#include <sys/mman.h>

#define CHUNK_BYTES ((size_t)512 << 10)
#define OVERREAD 16u   /* bytes read after a value or a place */
#define LIST_WORDS 64u /* more take a bit for each word of the page */

/* Before the rows of a record in columns. */
#define COLUMN_HEADS (MT_STORE_COLUMNS + MT_STORE_COLUMNS * 8u)

struct mt_word_copy_chunk {
    struct mt_word_copy_chunk *next;
};

static void *copy_map(uint64_t bytes)
{
    void *place = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return place == MAP_FAILED ? NULL : place;
}

static void free_chunks(struct mt_word_copy_chunk *chunk)
{
    while (chunk) {
        struct mt_word_copy_chunk *next = chunk->next;
        munmap(chunk, CHUNK_BYTES);
        chunk = next;
    }
}

struct mt_word_copy *mt_word_copy_new(uint64_t limit)
{
    struct mt_word_copy *word_copy = calloc(1, sizeof *word_copy);

    if (word_copy == NULL)
        return NULL;
    pthread_mutex_init(&word_copy->lock, NULL);
    word_copy->limit = limit;
    return word_copy;
}

void mt_word_copy_reserve(struct mt_word_copy *word_copy, uint64_t bytes)
{
    uint8_t *place;

    bytes = bytes < word_copy->limit ? bytes : word_copy->limit;
    bytes -= bytes % CHUNK_BYTES;
    place = bytes > 0 && !word_copy->reserved ? copy_map(bytes) : NULL;
    if (place == NULL)
        return;
    /* Not for the process that holds the target. */
    madvise(place, bytes, MADV_DONTFORK);
#ifdef MADV_POPULATE_WRITE
    madvise(place, bytes, MADV_POPULATE_WRITE);
#endif
    word_copy->reserved = place;
    word_copy->reserved_bytes = bytes;
}

void mt_word_copy_trim(struct mt_word_copy *word_copy)
{
    uint64_t used = word_copy->used_bytes;

    if (word_copy->reserved_bytes > used)
        munmap(word_copy->reserved + used, word_copy->reserved_bytes - used);
    word_copy->reserved_bytes = used;
}

bool mt_word_copy_pieces(struct mt_word_copy *word_copy,
                         const struct mt_word_copy_piece *pieces, size_t n)
{
    uint64_t pages = 0;
    const uint8_t **table;

    for (size_t i = 0; i < n; i++)
        pages += (pieces[i].bytes + MT_STORE_PAGE - 1) / MT_STORE_PAGE;
    word_copy->pieces = calloc(n + 1, sizeof *word_copy->pieces);
    word_copy->table_bytes = (pages + 1) * sizeof *table;
    word_copy->table = table = copy_map(word_copy->table_bytes);
    if (!word_copy->pieces || !table)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (pieces[i].bytes == 0)
            continue;
        word_copy->pieces[word_copy->n_pieces++] = (struct mt_word_copy_piece){
            pieces[i].start, pieces[i].bytes, table};
        table += (pieces[i].bytes - 1) / MT_STORE_PAGE + 1;
    }
    return true;
}

void mt_word_copy_free(struct mt_word_copy *word_copy)
{
    if (word_copy == NULL)
        return;
    if (word_copy->table)
        munmap(word_copy->table, word_copy->table_bytes);
    free_chunks(word_copy->chunks);
    if (word_copy->reserved_bytes > 0)
        munmap(word_copy->reserved, word_copy->reserved_bytes);
    pthread_mutex_destroy(&word_copy->lock);
    free(word_copy->pieces);
    free(word_copy);
}

const struct mt_word_copy_piece *
mt_word_copy_find(const struct mt_word_copy *word_copy, uint64_t address)
{
    size_t n =
        mt_count_up_to(word_copy->pieces, word_copy->n_pieces, start, address);
    const struct mt_word_copy_piece *piece = word_copy->pieces + n - (n > 0);

    return n > 0 && address - piece->start < piece->bytes ? piece : NULL;
}

uint64_t mt_word_copy_gap(const struct mt_word_copy *word_copy,
                          uint64_t address)
{
    size_t i =
        mt_count_up_to(word_copy->pieces, word_copy->n_pieces, start, address);

    return (i < word_copy->n_pieces ? word_copy->pieces[i].start : UINT64_MAX) -
           address;
}

/* --- records --- */

/* The reserved ones first. */
static uint8_t *take_chunk(struct mt_word_copy *word_copy)
{
    struct mt_word_copy_chunk *chunk = NULL;
    uint8_t *place = NULL;

    pthread_mutex_lock(&word_copy->lock);
    if (word_copy->limit - word_copy->bytes >= CHUNK_BYTES) {
        if (word_copy->used_bytes < word_copy->reserved_bytes) {
            place = word_copy->reserved + word_copy->used_bytes;
            word_copy->used_bytes += CHUNK_BYTES;
        } else if ((chunk = copy_map(CHUNK_BYTES)) != NULL) {
            chunk->next = word_copy->chunks;
            word_copy->chunks = chunk;
            place = (uint8_t *)(chunk + 1);
        }
    }
    if (place)
        word_copy->bytes += CHUNK_BYTES;
    pthread_mutex_unlock(&word_copy->lock);
    return place;
}

/* Room for a record; what is left of the last chunk is lost. */
static uint8_t *copy_take(struct mt_word_copy_writer *writer, size_t bytes)
{
    uint8_t *place;

    if ((size_t)(writer->end - writer->at) < bytes + OVERREAD) {
        place = take_chunk(writer->word_copy);
        if (place == NULL)
            return NULL;
        writer->at = place;
        writer->end = place + CHUNK_BYTES - sizeof(struct mt_word_copy_chunk);
    }
    place = writer->at;
    writer->at += bytes;
    return place;
}

static void put_bytes(uint8_t *restrict to, const uint64_t *restrict words,
                      unsigned shift)
{
    for (unsigned w = 0; w < MT_STORE_WORDS; w++)
        to[w] = (uint8_t)(words[w] >> shift);
}

/* By column: where words differ; returns the bytes that a record takes. */
static size_t measure_columns(const uint64_t *words,
                              uint64_t differ[MT_STORE_COLUMNS])
{
    size_t n = 0;

    memset(differ, 0, MT_STORE_COLUMNS * sizeof *differ);
    for (unsigned i = 0; i < MT_STORE_WORDS; i++)
        differ[i % MT_STORE_COLUMNS] |= words[i] ^ words[i % MT_STORE_COLUMNS];
    for (unsigned c = 0; c < MT_STORE_COLUMNS; c++)
        for (unsigned i = 0; i < 8; i++)
            n += (differ[c] >> (8 * i) & 0xff) != 0;
    return COLUMN_HEADS + n * MT_STORE_ROWS;
}

static bool put_columns(struct mt_word_copy_writer *writer,
                        const uint8_t **page, const uint64_t *words,
                        const uint64_t *differ, size_t bytes)
{
    const struct mt_word_copy_record head = {.n = MT_STORE_WORDS,
                                             .form = MT_RECORD_COLUMNS};
    uint8_t *to = copy_take(writer, sizeof head + bytes), *masks, *rows;
    const uint8_t *from;

    if (to == NULL)
        return false;
    *page = to;
    memcpy(to, &head, sizeof head);
    masks = to + sizeof head;
    rows = masks + COLUMN_HEADS;
    for (unsigned c = 0; c < MT_STORE_COLUMNS; c++) {
        uint64_t same = words[c];
        masks[c] = 0;
        for (unsigned i = 0; i < 8; i++) {
            if ((differ[c] >> (8 * i) & 0xff) == 0)
                continue;
            masks[c] |= (uint8_t)(1u << i);
            same &= ~(UINT64_C(0xff) << (8 * i));
            from = (const uint8_t *)&words[c] + i; /* little-endian */
            for (unsigned r = 0; r < MT_STORE_ROWS; r++)
                rows[r] = from[r * MT_STORE_COLUMNS * sizeof *words];
            rows += MT_STORE_ROWS;
        }
        memcpy(masks + MT_STORE_COLUMNS + c * sizeof same, &same, sizeof same);
    }
    return true;
}

static bool put_whole(struct mt_word_copy_writer *writer, const uint8_t **page,
                      const uint64_t words[MT_STORE_WORDS])
{
    struct mt_word_copy_record head = {.n = MT_STORE_WORDS,
                                       .form = MT_RECORD_WHOLE};
    uint64_t differ[MT_STORE_COLUMNS], all = 0;
    size_t n = 0, bytes = measure_columns(words, differ);
    uint8_t *to;

    for (unsigned c = 0; c < MT_STORE_COLUMNS; c++)
        all |= differ[c] | (words[c] ^ words[0]);
    if (all == 0 && words[0] == 0)
        return true;
    head.base = words[0];
    for (unsigned i = 0; i < 8; i++)
        if (all >> (8 * i) & 0xff) {
            head.width |= (uint8_t)(1u << i);
            head.base &= ~(UINT64_C(0xff) << (8 * i));
            n++;
        }
    if (bytes < n * MT_STORE_WORDS)
        return put_columns(writer, page, words, differ, bytes);
    to = copy_take(writer, sizeof head + n * MT_STORE_WORDS);
    if (to == NULL)
        return false;
    *page = to;
    memcpy(to, &head, sizeof head);
    to += sizeof head;
    for (unsigned i = 0; i < 8; i++) {
        if (!(head.width >> i & 1))
            continue;
        put_bytes(to, words, 8 * i);
        to += MT_STORE_WORDS;
    }
    return true;
}

static uint8_t bytes_of(uint64_t value)
{
    return (uint8_t)(value ? (71 - __builtin_clzll(value)) / 8 : 1);
}

/* The words that were chosen of a page. */
struct chosen {
    unsigned n, low;             /* low: in the first half of the page */
    uint64_t least, most, small; /* the last: the most of small ones */
    uint16_t places[MT_STORE_WORDS];
    uint64_t values[MT_STORE_WORDS];
};

static void copy_gather(const uint64_t *words, const uint64_t *bits,
                        struct chosen *chosen)
{
    uint64_t least = UINT64_MAX, most = 0, small = 0;
    unsigned n = 0;

    chosen->low = 0;
    for (unsigned w = 0; w < MT_STORE_WORDS / 64; w++) {
        for (uint64_t left = bits[w]; left; left &= left - 1) {
            unsigned place = w * 64 + (unsigned)__builtin_ctzll(left);
            uint64_t value = words[place];
            chosen->places[n] = (uint16_t)place;
            chosen->values[n++] = value;
            if (value < MT_STORE_SMALL) {
                small = small > value ? small : value;
                continue;
            }
            least = least < value ? least : value;
            most = most > value ? most : value;
        }
        if (w == MT_STORE_WORDS / 128 - 1)
            chosen->low = n;
    }
    chosen->n = n;
    chosen->least = least;
    chosen->most = most;
    chosen->small = small;
}

static bool put_some(struct mt_word_copy_writer *writer, const uint8_t **page,
                     const struct chosen *chosen, const uint64_t *bits)
{
    unsigned n = chosen->n;
    bool list = n <= LIST_WORDS;
    size_t of_places = list ? n : MT_STORE_WORDS / 8;
    struct mt_word_copy_record head = {
        .base = chosen->most ? chosen->least - MT_STORE_SMALL : 0,
        .n = (uint16_t)n,
        .form = list ? MT_RECORD_LIST : MT_RECORD_BITS,
        .low = (uint8_t)chosen->low,
    };
    uint8_t *to;

    head.width =
        bytes_of(chosen->most ? chosen->most - head.base : chosen->small);
    to = copy_take(writer, sizeof head + of_places + (size_t)n * head.width);
    if (to == NULL)
        return false;
    *page = to;
    memcpy(to, &head, sizeof head);
    to += sizeof head;
    if (!list)
        memcpy(to, bits, MT_STORE_WORDS / 8);
    for (unsigned i = 0; list && i < n; i++)
        to[i] = (uint8_t)chosen->places[i];
    to += of_places;
    for (unsigned i = 0; i < n; i++, to += head.width) {
        uint64_t value = chosen->values[i];
        if (value >= MT_STORE_SMALL)
            value -= head.base;
        /* Little-endian, as the target.  Excess bytes are overwritten later, or
         * lie after the record. */
        memcpy(to, &value, sizeof value);
    }
    return true;
}

bool mt_word_copy_put(struct mt_word_copy_writer *writer,
                      struct mt_word_copy_piece *piece, uint64_t page,
                      const uint64_t words[MT_STORE_WORDS],
                      const uint64_t bits[MT_STORE_WORDS / 64])
{
    uint64_t some = 0, all = UINT64_MAX;
    struct chosen chosen;

    for (unsigned w = 0; w < MT_STORE_WORDS / 64; w++) {
        some |= bits[w];
        all &= bits[w];
    }
    if (some == 0)
        return true;
    if (all == UINT64_MAX)
        return put_whole(writer, &piece->pages[page], words);
    copy_gather(words, bits, &chosen);
    return put_some(writer, &piece->pages[page], &chosen, bits);
}

/* --- reading --- */

uint64_t mt_word_copy_cell(const uint8_t *columns, unsigned place)
{
    unsigned column = place % MT_STORE_COLUMNS, row = place / MT_STORE_COLUMNS;
    const uint8_t *rows = columns + COLUMN_HEADS;
    uint64_t value, masks[2];

    memcpy(masks, columns, sizeof masks);
    if (column >= 8)
        rows += MT_STORE_ROWS * (unsigned)__builtin_popcountll(masks[0]);
    rows += MT_STORE_ROWS *
            (unsigned)__builtin_popcountll(
                masks[column / 8] & ((UINT64_C(1) << 8 * (column % 8)) - 1));
    memcpy(&value, columns + MT_STORE_COLUMNS + column * sizeof value,
           sizeof value);
    for (unsigned i = 0; i < 8; i++)
        if (columns[column] >> i & 1) {
            value |= (uint64_t)rows[row] << (8 * i);
            rows += MT_STORE_ROWS;
        }
    return value;
}

static void get_columns(const uint8_t *columns, unsigned from, unsigned to,
                        uint64_t *words)
{
    const uint8_t *rows = columns + COLUMN_HEADS;

    if (to - from < MT_STORE_WORDS) {
        for (unsigned i = from; i < to; i++)
            words[i - from] = mt_word_copy_cell(columns, i);
        return;
    }
    for (unsigned i = 0; i < MT_STORE_WORDS; i++)
        memcpy(&words[i],
               columns + MT_STORE_COLUMNS +
                   i % MT_STORE_COLUMNS * sizeof *words,
               sizeof *words);
    for (unsigned c = 0; c < MT_STORE_COLUMNS; c++)
        for (unsigned i = 0; i < 8; i++) {
            uint8_t *place = (uint8_t *)&words[c] + i; /* little-endian */
            if (!(columns[c] >> i & 1))
                continue;
            for (unsigned r = 0; r < MT_STORE_ROWS; r++)
                place[r * MT_STORE_COLUMNS * sizeof *words] = rows[r];
            rows += MT_STORE_ROWS;
        }
}

/* Words [from, to) of a page. */
static void get_words(const uint8_t *record, unsigned from, unsigned to,
                      uint64_t *words)
{
    struct mt_word_copy_walk walk;
    const uint8_t *bytes;

    memset(words, 0, (to - from) * sizeof *words);
    if (record == NULL)
        return;
    mt_word_copy_begin(&walk, record, from);
    if (walk.head.form == MT_RECORD_COLUMNS) {
        get_columns(walk.values, from, to, words);
        return;
    }
    if (walk.head.form != MT_RECORD_WHOLE) {
        for (; walk.place < to; mt_word_copy_next(&walk))
            words[walk.place - from] = mt_word_copy_value(&walk);
        return;
    }
    for (unsigned i = from; i < to; i++)
        words[i - from] = walk.head.base;
    bytes = walk.values;
    for (unsigned i = 0; i < 8; i++) {
        uint8_t *place = (uint8_t *)words + i; /* little-endian */
        if (!(walk.head.width >> i & 1))
            continue;
        for (unsigned w = from; w < to; w++, place += sizeof *words)
            *place = bytes[w];
        bytes += MT_STORE_WORDS;
    }
}

size_t mt_word_copy_read(const struct mt_word_copy *word_copy, uint64_t address,
                         void *buffer, size_t bytes)
{
    const struct mt_word_copy_piece *piece =
        mt_word_copy_find(word_copy, address);
    uint64_t words[MT_STORE_WORDS], at;
    size_t done = 0;

    if (piece == NULL)
        return 0;
    at = address - piece->start;
    if (bytes > piece->bytes - at)
        bytes = (size_t)(piece->bytes - at);
    while (done < bytes) {
        size_t skip = (size_t)(at % MT_STORE_PAGE);
        size_t n = (size_t)MT_STORE_PAGE - skip;
        n = n < bytes - done ? n : bytes - done;
        get_words(piece->pages[at / MT_STORE_PAGE], (unsigned)(skip / 8),
                  (unsigned)((skip + n + 7) / 8), words);
        memcpy((char *)buffer + done, (char *)words + skip % 8, n);
        done += n;
        at += n;
    }
    return done;
}
