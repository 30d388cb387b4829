/* SPDX-License-Identifier: BSD-2-Clause
 *
 * core_stream.c - reads a core once, in order, with memory for its headers and
 * one piece of it.
 *
 * The kernel writes headers, then notes, then the segments by address; so does
 * GDB, and its notes may come last: of such a core less is known, and less
 * kept.  Nothing in it is believed: segments that overlap are cut, and what
 * is kept has a limit.
 */
#include "coreanalyze/save/core_stream.h"
#include "coreanalyze/save/core_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE (1u << 20)
#define MOST_SEGMENTS (1u << 20)
#define MOST_BETWEEN (UINT64_C(256) << 20) /* bytes that no segment has */

struct core_reading {
    struct mt_core_stream *stream;
    struct mt_core_filter filter;
    int pipe, file;
    uint8_t *piece;
    Elf64_Phdr *programs; /* by place in the file */
    size_t n_programs;
    uint64_t between; /* bytes outside of segments */
    bool ended;
    struct mt_error *error;
};

/* --- the pipe and the file --- */

/* Fewer bytes than asked for: the end. */
static size_t core_stream_take(struct core_reading *r, void *buffer,
                               size_t bytes)
{
    size_t done = 0;

    while (done < bytes && !r->ended) {
        ssize_t got = read(r->pipe, (char *)buffer + done, bytes - done);
        if (got < 0 && errno == EINTR)
            continue;
        r->ended = got <= 0;
        done += got > 0 ? (size_t)got : 0;
    }
    r->stream->bytes += done;
    return done;
}

static bool core_stream_keep(struct core_reading *r, uint64_t offset,
                             const uint8_t *data, size_t bytes)
{
    if (bytes > r->stream->most - r->stream->kept)
        return mt_fail(r->error,
                       "the trace takes more than %llu bytes (see --most)",
                       (unsigned long long)r->stream->most);
    r->stream->kept += bytes;
    while (bytes > 0) {
        ssize_t put = pwrite(r->file, data, bytes, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return mt_fail(r->error, "cannot write a temporary file: %s",
                           strerror(put < 0 ? errno : ENOSPC));
        data += put;
        offset += (uint64_t)put;
        bytes -= (size_t)put;
    }
    return true;
}

/* --- headers --- */

static int core_stream_by_offset(const void *a, const void *b)
{
    const Elf64_Phdr *x = a, *y = b;

    return x->p_offset < y->p_offset ? -1 : x->p_offset > y->p_offset;
}

/* With very many segments the header's count is elsewhere, at the end.  The
 * notes begin where the table of segments ends. */
static size_t core_stream_count(const Elf64_Ehdr *header,
                                const Elf64_Phdr *first)
{
    uint64_t n = header->e_phnum;

    if (n == PN_XNUM && first->p_offset >= header->e_phoff + sizeof *first)
        n = (first->p_offset - header->e_phoff) / sizeof *first;
    return n < MOST_SEGMENTS ? (size_t)n : MOST_SEGMENTS;
}

static bool core_stream_headers(struct core_reading *r)
{
    struct {
        Elf64_Ehdr header;
        Elf64_Phdr first;
    } h;
    size_t rest;

    if (core_stream_take(r, &h, sizeof h) != sizeof h ||
        memcmp(h.header.e_ident, ELFMAG, SELFMAG) != 0 ||
        h.header.e_ident[EI_CLASS] != ELFCLASS64 ||
        h.header.e_type != ET_CORE || h.header.e_machine != EM_X86_64 ||
        h.header.e_phentsize != sizeof h.first || h.header.e_phnum == 0)
        return mt_fail(r->error, "what comes through the pipe is not a core "
                                 "of an x86-64 process");
    if (h.header.e_phoff != sizeof h.header)
        return mt_fail(r->error,
                       "the core's segments do not follow its header");
    r->n_programs = core_stream_count(&h.header, &h.first);
    r->programs = calloc(r->n_programs, sizeof *r->programs);
    if (!r->programs)
        return mt_no_memory(r->error, "the segments");
    r->programs[0] = h.first;
    rest = (r->n_programs - 1) * sizeof *r->programs;
    if (core_stream_take(r, r->programs + 1, rest) != rest)
        return mt_fail(r->error, "the core is cut off in its headers");
    return core_stream_keep(r, 0, (uint8_t *)&h.header, sizeof h.header) &&
           core_stream_keep(r, sizeof h.header, (uint8_t *)r->programs,
                            r->n_programs * sizeof *r->programs);
}

/* --- contents --- */

/* What lies between segments: notes, and padding. */
static bool core_stream_between(struct core_reading *r, uint64_t end)
{
    while (r->stream->bytes < end && !r->ended) {
        uint64_t at = r->stream->bytes, left = end - at;
        size_t n =
            core_stream_take(r, r->piece, left < PIECE ? (size_t)left : PIECE);
        r->between += n;
        if (r->between <= MOST_BETWEEN && !core_stream_keep(r, at, r->piece, n))
            return false;
    }
    return true;
}

static bool core_stream_is_zero(const uint8_t *page, size_t bytes)
{
    return page[0] == 0 && memcmp(page, page + 1, bytes - 1) == 0;
}

/* Pages of a piece; those that are kept, and lie side by side, at once. */
static bool core_stream_pages(struct core_reading *r, uint64_t offset,
                              uint64_t address, size_t bytes)
{
    size_t from = 0, to = 0;

    for (size_t at = 0; at < bytes; at += MT_FILTER_PAGE) {
        size_t n = bytes - at < MT_FILTER_PAGE ? bytes - at : MT_FILTER_PAGE;
        if (core_stream_is_zero(r->piece + at, n) ||
            !mt_core_filter_page(&r->filter, address + at, r->piece + at, n))
            continue;
        if (at != to) {
            if (!core_stream_keep(r, offset + from, r->piece + from, to - from))
                return false;
            from = at;
        }
        to = at + n;
    }
    return core_stream_keep(r, offset + from, r->piece + from, to - from);
}

static bool core_stream_segment(struct core_reading *r,
                                const Elf64_Phdr *program)
{
    uint64_t end = program->p_offset + program->p_filesz;

    mt_core_filter_segment(&r->filter, program);
    while (r->stream->bytes < end && !r->ended) {
        uint64_t at = r->stream->bytes, left = end - at;
        size_t n =
            core_stream_take(r, r->piece, left < PIECE ? (size_t)left : PIECE);
        if (n > 0 && !core_stream_pages(
                         r, at, program->p_vaddr + (at - program->p_offset), n))
            return false;
    }
    return true;
}

/* Notes are known before the first segment; at most once. */
static bool core_stream_notes(struct core_reading *r)
{
    for (size_t i = 0; i < r->n_programs; i++) {
        const Elf64_Phdr *p = &r->programs[i];
        if (p->p_type == PT_NOTE && p->p_offset <= r->stream->bytes &&
            p->p_filesz <= r->stream->bytes - p->p_offset)
            return mt_core_filter_begin(&r->filter, r->file, p->p_offset,
                                        p->p_filesz, r->error);
    }
    return mt_core_filter_begin(&r->filter, r->file, 0, 0, r->error);
}

static bool core_stream_contents(struct core_reading *r)
{
    bool begun = false, ok = true;

    qsort(r->programs, r->n_programs, sizeof *r->programs,
          core_stream_by_offset);
    for (size_t i = 0; ok && i < r->n_programs; i++) {
        const Elf64_Phdr *p = &r->programs[i];
        uint64_t end;
        if (p->p_type != PT_LOAD || p->p_filesz == 0 ||
            p->p_offset < r->stream->bytes ||
            __builtin_add_overflow(p->p_offset, p->p_filesz, &end))
            continue;
        ok = core_stream_between(r, p->p_offset) &&
             (begun || core_stream_notes(r)) && core_stream_segment(r, p);
        begun = true;
    }
    return ok && core_stream_between(r, UINT64_MAX);
}

bool mt_core_stream_read(struct mt_core_stream *stream, int pipe, int file,
                         struct mt_error *error)
{
    struct core_reading r = {.stream = stream,
                             .pipe = pipe,
                             .file = file,
                             .piece = malloc(PIECE),
                             .error = error};
    bool ok = r.piece || mt_no_memory(error, "the core");

    ok = ok && core_stream_headers(&r) && core_stream_contents(&r);
    if (ok && ftruncate(file, (off_t)stream->bytes) != 0)
        ok = mt_fail(error, "cannot write a temporary file: %s",
                     strerror(errno));
    stream->root = r.filter.n_roots ? r.filter.roots[0].start : 0;
    mt_core_filter_free(&r.filter);
    free(r.programs);
    free(r.piece);
    return ok;
}
