/* SPDX-License-Identifier: BSD-2-Clause
 *
 * word_copy_fill.c - workers take parts of a word copy's pieces one by one.
 * Each thread reads into one small buffer, again and again, so that memory is
 * written to in the processor's cache alone.
 */
#include "coreanalyze/source/word_copy_fill.h"
#include "coreanalyze/base/search.h"
#include "coreanalyze/base/workers.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_THREADS 16u
#define READ_PAGES 128u /* at once */
#define REPORT_PARTS 16u

struct team {
    struct mt_fill *fill;
    uint64_t *first; /* part that a piece begins with */
    uint64_t n_parts, read_bytes;
    struct mt_parts parts;
    bool failed;
};

struct member {
    struct team *team;
    struct mt_word_copy_writer writer;
    uint64_t (*words)[MT_STORE_WORDS]; /* of READ_PAGES pages */
};

static void fill_keep(struct member *m, struct mt_word_copy_piece *piece,
                      uint64_t page, size_t n)
{
    const struct mt_word_filter *filter = m->team->fill->filter;
    uint64_t bits[READ_PAGES * MT_STORE_WORDS / 64];

    filter->choose(filter->context, piece->start + page * MT_STORE_PAGE,
                   m->words[0], n, bits);
    for (size_t i = 0; i < n; i++)
        if (!mt_word_copy_put(&m->writer, piece, page + i, m->words[i],
                              bits + i * (MT_STORE_WORDS / 64)))
            __atomic_store_n(&m->team->failed, true, __ATOMIC_RELAXED);
}

/* Pages [page, page + n), which are all wanted. */
static void fill_take_run(struct member *m, struct mt_word_copy_piece *piece,
                          uint64_t page, size_t n)
{
    struct mt_fill *fill = m->team->fill;

    while (n > 0 && !__atomic_load_n(&m->team->failed, __ATOMIC_RELAXED)) {
        size_t pages = n < READ_PAGES ? n : READ_PAGES;
        uint64_t skip = page * MT_STORE_PAGE, got = 0;
        uint64_t bytes = pages * MT_STORE_PAGE;
        if (bytes > piece->bytes - skip)
            bytes = piece->bytes - skip;
        while (got < bytes) {
            size_t more =
                fill->read(fill->context, piece->start + skip + got,
                           (char *)m->words + got, (size_t)(bytes - got));
            uint64_t hole = MT_STORE_PAGE - (skip + got + more) % MT_STORE_PAGE;
            __atomic_add_fetch(&m->team->read_bytes, more, __ATOMIC_RELAXED);
            got += more;
            if (got == bytes)
                break;
            if (fill->strict)
                __atomic_store_n(&m->team->failed, true, __ATOMIC_RELAXED);
            hole = hole < bytes - got ? hole : bytes - got;
            memset((char *)m->words + got, 0, hole);
            got += hole;
        }
        memset((char *)m->words + bytes, 0, pages * MT_STORE_PAGE - bytes);
        fill_keep(m, piece, page, pages);
        page += pages;
        n -= pages;
    }
}

static void take_part(struct member *m, uint64_t part)
{
    struct team *team = m->team;
    struct mt_fill *fill = team->fill;
    bool present[MT_FILL_PAGES];
    size_t index, n, run = 0;
    struct mt_word_copy_piece *piece;
    uint64_t page, pages;

    index = mt_search(team->first, fill->word_copy->n_pieces,
                      sizeof *team->first, part + 1) -
            1;
    piece = &fill->word_copy->pieces[index];
    page = (part - team->first[index]) * MT_FILL_PAGES;
    pages = (piece->bytes - 1) / MT_STORE_PAGE + 1 - page;
    n = pages < MT_FILL_PAGES ? (size_t)pages : MT_FILL_PAGES;
    memset(present, true, sizeof present);
    if (fill->present)
        fill->present(fill->context, piece->start + page * MT_STORE_PAGE, n,
                      present);
    for (size_t i = 0; i <= n; i++) {
        if (i < n && present[i])
            continue;
        if (i > run)
            fill_take_run(m, piece, page + run, i - run);
        run = i + 1;
    }
}

static bool fill_report(struct team *team, uint64_t part)
{
    const struct mt_progress *progress = team->fill->progress;

    return progress == NULL ||
           progress->report(progress->context, team->fill->step, part,
                            team->n_parts);
}

static void fill_work(void *context, unsigned index)
{
    struct team *team = context;
    struct member m = {.team = team,
                       .writer = {.word_copy = team->fill->word_copy}};
    uint64_t part, n = 0;

    m.words = aligned_alloc(MT_STORE_PAGE, READ_PAGES * MT_STORE_PAGE);
    if (m.words == NULL)
        __atomic_store_n(&team->failed, true, __ATOMIC_RELAXED);
    while (!__atomic_load_n(&team->failed, __ATOMIC_RELAXED) &&
           mt_parts_take(&team->parts, team->n_parts, &part)) {
        take_part(&m, part);
        if (index == 0 && ++n % REPORT_PARTS == 0 && !fill_report(team, part))
            mt_parts_stop(&team->parts);
    }
    free(m.words);
}

bool mt_word_copy_fill(struct mt_fill *fill)
{
    struct mt_word_copy *word_copy = fill->word_copy;
    struct team team = {.fill = fill};
    uint64_t bytes = 0;

    team.first = calloc(word_copy->n_pieces + 1, sizeof *team.first);
    if (team.first == NULL)
        return false;
    for (size_t i = 0; i < word_copy->n_pieces; i++) {
        team.first[i] = team.n_parts;
        bytes += word_copy->pieces[i].bytes;
        team.n_parts += (word_copy->pieces[i].bytes - 1) / MT_FILL_PART + 1;
    }
    mt_run_workers(mt_processors_for(bytes, MAX_THREADS), fill_work, &team);
    free(team.first);
    fill->read_bytes = team.read_bytes;
    fill->stopped = team.parts.stopped;
    return !team.parts.stopped && !team.failed;
}

uint64_t mt_available_bytes(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    unsigned long long kb = 0;
    char line[128];

    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %llu kB", &kb) == 1)
            break;
    if (file)
        fclose(file);
    return kb * 1024;
}
